"""The center's half in a process of its own: agent port, inbox, mover, store.

    python -m tests.faults.receiver DIR [STEP:TIMES:DELAY_MS]

It kills itself (SIGKILL) DELAY_MS after it came to STEP for the TIMES-th time. Steps are the
mover's, and `accept` (a request was read) and `accepted` (the inbox has committed it, the answer is
not sent). On SIGTERM it carries on what waits and tells what is in the store, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from redoubt.center.agent_port import AgentPort, Office, serve
from redoubt.center.latest import LatestState
from redoubt.center.mover import Mover, Shelves
from redoubt.edge.agent_link import Receipt
from redoubt.edge.batches import Batch, MachineDetail
from redoubt.edge.inbox import Inbox
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.telemetry import Telemetry
from redoubt.edge.tls import server_context
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register.snapshot import SignedSnapshot
from tests.faults.teller import tell


class Death:
    """Kills this process at a moment that was asked for."""

    def __init__(self, spec: str | None) -> None:
        step, times, delay_ms = spec.split(":") if spec else ("", "0", "0")
        self._step, self._left, self._delay_s = step, int(times), float(delay_ms) / 1000

    def at(self, step: str) -> None:
        if step != self._step:
            return
        self._left -= 1
        if self._left == 0:
            if self._delay_s == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            # A thread's timer goes off inside a store's insert too, which runs in another.
            threading.Timer(self._delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()


def now() -> datetime:
    return datetime.now(UTC)


async def run(folder: Path, death: Death) -> None:
    inbox = await Inbox.open(folder / "inbox.sqlite")
    telemetry = await Telemetry.open(folder / "telemetry")
    findings = folder / "findings.jsonl"

    async def accept(agent: AgentIdentity, batches: list[Batch], received_at: datetime) -> Receipt:
        death.at("accept")
        receipt = await inbox.accept(agent, batches, received_at)
        death.at("accepted")
        return receipt

    async def nothing_new(
        _organisation: OrganisationId, _site: SiteId, _version: int, timeout_s: float
    ) -> SignedSnapshot | None:
        await asyncio.sleep(timeout_s)
        return None

    async def never_revoked(_agent: AgentIdentity) -> bool:
        return False

    async def no_renewal(_shown: x509.Certificate, _csr_pem: str) -> str | None:
        return None

    def keep_details(
        _organisation: OrganisationId, _site: SiteId, _details: Sequence[MachineDetail]
    ) -> None:
        return

    def apply_findings(
        _organisation: OrganisationId, _site: SiteId, events: Sequence[FindingEvent]
    ) -> None:
        with findings.open("a", encoding="utf-8") as file:
            for event in events:
                file.write(json.dumps(event.finding.title) + "\n")

    port = AgentPort(
        Office(
            accept=accept,
            snapshot_after=nothing_new,
            is_revoked=never_revoked,
            renew=no_renewal,
            clock=now,
        )
    )
    shelves = Shelves(keep_details=keep_details, apply_findings=apply_findings)
    mover = Mover(inbox, telemetry, LatestState(), shelves, now, linger_s=0.05, on_step=death.at)
    context = server_context(folder / "server.crt", folder / "server.key", folder / "ca.crt")
    number = int((folder / "port").read_text()) if (folder / "port").exists() else 0
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(port, context, "127.0.0.1", number) as bound:
        (folder / "port").write_text(str(bound))
        say(f"listening {bound}")
        async with asyncio.TaskGroup() as tasks:
            moving = tasks.create_task(mover.run())
            await stop.wait()
            moving.cancel()
    await mover.drain()
    say(await tell(inbox, telemetry))
    await telemetry.close()
    await inbox.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), Death(sys.argv[2] if len(sys.argv) > 2 else None)))
