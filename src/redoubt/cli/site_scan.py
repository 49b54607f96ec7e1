"""`redoubt site scan`: find machines on one's own networks. `cli.site` puts it into its group."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from redoubt.model.status import MachineStatus
    from redoubt.site.networks import Network
    from redoubt.site.scan import Progress

_BAR_WIDTH = 30


@click.command("scan")
@click.argument("networks", nargs=-1, required=True, metavar="CIDR…")
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    help="A port that is not the usual one, such as antminer=14028. May be repeated.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1, max=100_000),
    help="New connections a second (200; 4,000 on loopback).",
)
@click.option("--log", "log_file", type=click.Path(path_type=Path), help="Where scans are logged.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per address.")
def scan(
    networks: tuple[str, ...],
    ports: tuple[str, ...],
    rate: float | None,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Find the machines on one or more networks, such as 10.0.0.0/22.

    Prints one line for each address that answers, and says of each what could not be told. Only
    reads, sends no password, and asks only private addresses. Each scan is logged with who made it.
    """
    import uvloop

    from redoubt.edge.limits import SPARE_FILES, describe_shortage, raise_file_limit
    from redoubt.site.networks import parse_networks
    from redoubt.site.scan import CONNECTIONS, parse_ports

    wanted = parse_networks(networks)
    chosen_ports = parse_ports(ports)
    limit = raise_file_limit()
    shortage = describe_shortage(limit, CONNECTIONS)
    if shortage:
        click.echo(f"redoubt: {shortage}; scanning with fewer at once", err=True)
    connections = max(16, min(CONNECTIONS, limit - SPARE_FILES))
    log = _ScanLog(log_file or _default_log(), networks, ports)
    log.write("began")
    bar = _Bar()
    uvloop.run(_scan(wanted, chosen_ports, rate, connections, as_json, bar))
    bar.clear()
    log.write("ended", found=bar.last.found, unknown=bar.last.unknown)
    click.echo(_summary(bar.last), err=True)


async def _scan(
    networks: tuple[Network, ...],
    ports: dict[str, int],
    rate: float | None,
    connections: int,
    as_json: bool,
    bar: _Bar,
) -> None:
    from contextlib import aclosing

    import msgspec

    from redoubt.site.scan import scan as scan_networks

    if not as_json:
        click.echo(_HEADING)
    statuses = scan_networks(
        networks, ports, rate=rate, connections=connections, on_progress=bar.show
    )
    async with aclosing(statuses):
        async for status in statuses:
            bar.clear()
            click.echo(msgspec.json.encode(status) if as_json else _row(status))


_HEADING = f"{'address':<16}{'model':<26}{'state':<12}{'hashrate':>12}  {'power':<20}remarks"


def _row(status: MachineStatus) -> str:
    from redoubt.model.units import format_hashrate, format_watts

    model = " ".join(part for part in (status.make, status.model) if part) or "–"
    power = f"{format_watts(status.power_w)} {status.power_kind or ''}"
    remarks = "; ".join(note.text for note in status.notes)
    return (
        f"{status.address:<16}{model[:25]:<26}{status.state:<12}"
        f"{format_hashrate(status.hashrate_hs):>12}  {power:<20}{remarks}"
    ).rstrip()


def _summary(progress: Progress) -> str:
    machines = "1 machine" if progress.found == 1 else f"{progress.found} machines"
    return (
        f"{machines} at {progress.addresses} addresses; {progress.unknown} answer and speak no API "
        f"I know, {progress.refused} only refuse, {progress.silent} are silent"
    )


class _Bar:
    """A progress bar on stderr, drawn only on a terminal and at most ten times a second."""

    def __init__(self) -> None:
        from redoubt.site.scan import Progress

        self.last = Progress(addresses=0)
        self._stream = sys.stderr
        self._is_terminal = self._stream.isatty()
        self._is_drawn = False
        self._drawn_at = 0.0

    def show(self, progress: Progress) -> None:
        self.last = progress
        if not self._is_terminal or time.monotonic() - self._drawn_at < 0.1:
            return
        self._drawn_at = time.monotonic()
        full = _BAR_WIDTH * progress.done // max(1, progress.addresses)
        bar = "█" * full + "·" * (_BAR_WIDTH - full)
        counts = f"{progress.done}/{progress.addresses} addresses, {progress.found} machines"
        self._stream.write(f"\r{bar} {counts}")
        self._stream.flush()
        self._is_drawn = True

    def clear(self) -> None:
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False


class _ScanLog:
    """Who scanned what: one JSON line as a scan begins and one as it ends, only appended."""

    def __init__(self, path: Path, networks: tuple[str, ...], ports: tuple[str, ...]) -> None:
        self._path = path
        self._what = {"user": _user(), "networks": list(networks), "ports": list(ports)}

    def write(self, event: str, **counts: int) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"at": at, "event": event, **self._what, **counts})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as log:
                log.write(line + "\n")
        except OSError as exc:
            click.echo(f"redoubt: the scan's log cannot be written: {exc}", err=True)
            click.echo(f"redoubt: {line}", err=True)


def _default_log() -> Path:
    """Return the log's place in the user's state folder (XDG Base Directory)."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "redoubt" / "scans.jsonl"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
