"""The whole path: spool → TLS with client certificates → inbox → store, rows drained per second.

Must reach: 150,000 rows/s. A site that was cut off comes back: its spool holds a realistic day of
1,000 machines in batches of one sweep each, as the agent writes them. The agent's half runs in a
process of its own; the center's half is the real port, inbox, mover, store and latest state.
Counted from the first request to the last row in the store, roll-ups included.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from cryptography import x509

from bench.store import MACHINES, day_tables
from redoubt.center.agent_port import AgentPort, Office, serve
from redoubt.center.latest import LatestState
from redoubt.center.mover import Mover, Shelves
from redoubt.edge.agent_link import AgentLink
from redoubt.edge.batches import BatchKind, MachineDetail, encode_table
from redoubt.edge.inbox import Inbox
from redoubt.edge.keys import (
    AgentIdentity,
    issue_agent_certificate,
    issue_server_certificate,
    new_authority,
    new_key,
    request_certificate,
    save_key,
)
from redoubt.edge.spool import Draft, Spool
from redoubt.edge.spool_thread import open_spool
from redoubt.edge.telemetry import Telemetry
from redoubt.edge.tls import client_context, server_context
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register.snapshot import SignedSnapshot

SWEEPS = 5760
"""A day, which is what a site cut off for a day brings."""
ROWS = SWEEPS * MACHINES
SPOOL_LIMIT_BYTES = 4 << 30
AGENT = AgentIdentity(OrganisationId("bench"), SiteId("bunker"), "agent")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _write_papers(home)
        _fill_spool(home / "spool.sqlite")
        asyncio.run(_receive(home))


def _fill_spool(path: Path) -> None:
    """Spool the day as the agent does: a batch per sweep."""
    start = (datetime.now(UTC) - timedelta(days=1, hours=1)).replace(microsecond=0)
    spool = Spool(path, limit_bytes=SPOOL_LIMIT_BYTES)
    size = 0
    for table in day_tables(start, SWEEPS, 60):
        drafts = []
        for batch in table.to_batches():
            body = encode_table(pa.Table.from_batches([batch]))
            size += len(body)
            drafts.append(Draft(BatchKind.SAMPLES, batch.num_rows, body, start))
        spool.append(drafts)
    spool.close()
    print(f"spooled {ROWS:,} rows in {SWEEPS:,} batches, {size / ROWS:.1f} bytes per row")


async def _receive(home: Path) -> None:
    inbox = await Inbox.open(home / "inbox.sqlite")
    telemetry = await Telemetry.open(home / "telemetry")
    latest = LatestState()
    shelves = Shelves(keep_details=_keep_nothing, apply_findings=_apply_nothing)
    mover = Mover(inbox, telemetry, latest, shelves, _now)
    office = Office(
        accept=inbox.accept,
        snapshot_after=_nothing_new,
        is_revoked=_never_revoked,
        renew=_no_renewal,
        clock=_now,
    )
    context = server_context(home / "server.crt", home / "server.key", home / "ca.crt")
    async with (
        serve(AgentPort(office), context, "127.0.0.1", 0) as number,
        asyncio.TaskGroup() as tasks,
    ):
        moving = tasks.create_task(mover.run())
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.ingest", "send", str(home), str(number),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert sender.stdout is not None
        await sender.stdout.readline()
        began = time.perf_counter()
        await sender.wait()
        sent_s = time.perf_counter() - began
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving
        await mover.drain()
        drained_s = time.perf_counter() - began
    found = await telemetry.query(
        "SELECT (SELECT count() FROM samples) AS raw,"
        " (SELECT sum(samples) FROM site_minute FINAL) AS rolled"
    )
    print(f"safe in the inbox after {sent_s:.1f} s: {ROWS / sent_s:,.0f} rows/s")
    print(
        f"drained into the store after {drained_s:.1f} s: {ROWS / drained_s:,.0f} rows/s"
        f" (must reach 150,000), in {mover.figures.groups} groups; store and roll-ups hold"
        f" {found.column('raw')[0]:} and {found.column('rolled')[0]:} of {ROWS}"
    )
    await telemetry.close()
    await inbox.close()


async def _send(home: Path, number: int) -> None:
    """Drain the spool, as the agent does; says when it begins."""
    spool = await open_spool(home / "spool.sqlite", SPOOL_LIMIT_BYTES)
    context = client_context(home / "ca.crt", home / "agent.crt", home / "agent.key")
    link = AgentLink(f"https://127.0.0.1:{number}", context)
    sys.stdout.write("begin\n")
    sys.stdout.flush()
    while group := await spool.read_group():
        receipt = await link.send(group)
        await spool.ack(receipt.acked)
    await link.close()
    await spool.close()


def _write_papers(home: Path) -> None:
    now = datetime.now(UTC)
    authority = new_authority("bench", now)
    (home / "ca.crt").write_text(authority.certificate_pem)
    for name in ("server", "agent"):
        key = new_key()
        save_key(key, home / f"{name}.key")
        if name == "server":
            pem = issue_server_certificate(authority, key.public_key(), ["127.0.0.1"], now)
        else:
            pem = issue_agent_certificate(authority, request_certificate(key), AGENT, now)
        (home / f"{name}.crt").write_text(pem)


def _now() -> datetime:
    return datetime.now(UTC)


async def _nothing_new(
    _organisation: OrganisationId, _site: SiteId, _version: int, timeout_s: float
) -> SignedSnapshot | None:
    await asyncio.sleep(timeout_s)
    return None


async def _never_revoked(_agent: AgentIdentity) -> bool:
    return False


async def _no_renewal(_shown: x509.Certificate, _csr_pem: str) -> str | None:
    return None


def _keep_nothing(
    _organisation: OrganisationId, _site: SiteId, _details: Sequence[MachineDetail]
) -> None:
    return


def _apply_nothing(
    _organisation: OrganisationId, _site: SiteId, _events: Sequence[FindingEvent]
) -> None:
    return


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        asyncio.run(_send(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
