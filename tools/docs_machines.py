"""Writes docs/machines.md from the drivers and the makers' tables; a test says when it is stale.

Run as `.venv/bin/python -m tools.docs_machines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from redoubt.machines import Auth, Cadence, Driver, Transport, drivers
from redoubt.model.hardware import Hardware, hardware_tables
from redoubt.model.units import TERA

PAGE = Path(__file__).resolve().parent.parent / "docs" / "machines.md"

INTRODUCTION = """\
# Machines

<!-- Written by tools.docs_machines.py from the drivers: change those, then run it. -->

Redoubt reads the machine families below over their makers' own protocols. It only reads, and it
sends a password to nothing but a machine for which `credentials.toml` holds one.

## How a reading comes about

- **Each call is made once** per poll, one after another: no machine is asked two things at a time.
  A service that did not answer one call is not asked the next in that poll.
- **Steady** calls are made at every poll; **identity** calls at discovery, after a reboot (uptime
  fell), at a new address, and hourly. In between the last identity replies stand, with their time.
- **Deadlines** run from the start of I/O and count only time in which Redoubt itself was not late.
- **Every field names its source** in `sources`: the call and when its reply came. A field without a
  value says why where somebody is to blame: `needs_auth`, `no_reply` or `unparsed`. What a machine
  simply does not say is null without blame.
- **One bad field never loses the rest**, and nothing is invented: unknown is null.
- **Values that cannot be true are kept as claimed**: their source says `implausible` and a note
  says what is wrong. So are negative hashrates, more chips than a board has, hashing with every fan
  at a standstill, temperatures below -40 °C or above 150 °C, and MACs that none can be.
- **Watts** are `claimed` where the machine says them, else `estimated`: the model's J/TH from the
  tables below times the hashrate that the machine claims. A machine that hashes nothing has none.
- **Times are ours.** `clock_at` is what the machine's own clock read, where it tells.

## States

| state | when |
| --- | --- |
| `hashing` | it claims a hashrate, and so does every board |
| `degraded` | it is up and hashes nothing, or a board hashes nothing or shows no chips |
| `sleeping` | it says that it was told to sleep |
| `needs_auth` | it answers nothing without a password |
| `unknown` | it answers, and no hashrate could be read |
| `offline` | it does not answer |

## Passwords

`credentials.toml` in a site's folder, mode 0600. The narrowest range wins; among equals the entry
that names the family.

```toml
[[credential]]
family = "antminer"        # optional
range = "10.0.0.0/24"      # optional
user = "root"
password = "…"
```

No factory password is ever tried. Where the one given is the maker's own and the machine takes it,
that is a finding.

## Finding machines

`redoubt site scan 10.0.0.0/22` asks every address the probe of every family and prints one line for
each that answers, with what could not be told ("answers on 4028, speaks no API I know"). It asks
private, link-local, carrier-grade NAT and loopback addresses only, at most a /16 at once, at 200
new connections a second unless `--rate` says otherwise, and logs who scanned what
(`~/.local/state/redoubt/scans.jsonl` or `--log`). `--port SERVICE=PORT` is for other ports; the
services are named below.

`redoubt machine show ADDRESS` reads one machine, now.

## Adding a family

Add a folder to `src/redoubt/machines/`: `calls.py` (what is asked), `identify.py` (how it is told
from others), `parse.py` (what the replies mean), and a `DRIVER` in its `__init__.py`. It is found
by being there. Start from the smallest, `axeos`; then run
`.venv/bin/python -m tools.docs_machines`.
"""

MODELS = """\
## Makers' figures

From `src/redoubt/model/hardware/*.toml`, each row with its source and with what was not checked
against a maker's sheet. They fill in what machines do not say; what differs among machines of one
name is left out (–). Of a model with several hashrate classes the machine's own nominal hashrate or
its name ("S19j Pro 104T") tells which.
"""

TRANSPORTS = {
    Transport.CGMINER: "cgminer API over TCP: one JSON request per connection, reply up to NUL",
    Transport.HTTP: "HTTP/1.1",
    Transport.WHATSMINER_V3: "TCP: 4-byte little-endian length, then JSON, both ways",
}


def machines_page() -> str:
    """Return the whole page."""
    lines = [INTRODUCTION]
    for driver in drivers().values():
        lines.extend(_family(driver))
    lines.append(MODELS)
    lines.extend(_models(hardware_tables()))
    return "\n".join(lines) + "\n"


def _family(driver: Driver) -> Iterator[str]:
    yield f"## {driver.title}: `{driver.family}`\n"
    services = ", ".join(f"`{name}` {port}" for name, port in driver.services.items())
    yield f"Services and their usual ports: {services}.\n"
    yield from _table(
        ("call", "service", "request", "when", "password"),
        (
            (
                f"`{call.name}`",
                f"`{call.service}`",
                f"`{call.request.decode()}`",
                "every poll" if call.cadence is Cadence.STEADY else "identity",
                "–" if call.auth is Auth.NONE else "Digest",
            )
            for call in driver.calls
        ),
    )
    transports = sorted({TRANSPORTS[call.transport] for call in driver.calls})
    yield "Transport: " + "; ".join(transports) + ".\n"
    yield from _table(
        ("field", "read from, best first"),
        (
            (f"`{field.name}`", ", ".join(f"`{call}`" for call, _extractor in field.places))
            for field in driver.fields
        ),
    )
    if driver.unseen:
        yield "Not seen on a real machine:\n"
        yield from (f"- {sentence}" for sentence in driver.unseen)
        yield ""


def _models(rows: Iterable[Hardware]) -> Iterator[str]:
    yield from _table(
        ("make", "model", "boards × chips", "fans", "TH/s", "W", "source"),
        (
            (
                row.make,
                row.model,
                f"{_known(row.boards)} × {_known(row.chips_per_board)}",
                _known(row.fans),
                ", ".join(_terahashes(each) for each in _classes(row)) or "–",
                ", ".join(_known(each[1]) for each in _classes(row)) or "–",
                row.source,
            )
            for row in rows
        ),
    )


def _classes(row: Hardware) -> list[tuple[float, float | None]]:
    own = [] if row.hashrate_nominal_hs is None else [(row.hashrate_nominal_hs, row.power_w)]
    return own + [(each.hashrate_nominal_hs, each.power_w) for each in row.variants]


def _terahashes(each: tuple[float, float | None]) -> str:
    return f"{each[0] / TERA:.4g}"


def _known(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(machines_page(), encoding="utf-8")
