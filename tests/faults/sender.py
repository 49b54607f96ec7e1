"""A site's half in a process of its own: it polls (by numbers), spools and brings to the center.

    python -m tests.faults.sender DIR URL BEGIN MACHINES CADENCE_S

Polling and bringing are two tasks, as in the real agent: the link never holds polling up. The
number of the next poll is a note in the spool's own transaction, so after a kill every poll is made
once. It prints a line per poll, polls until a file DIR/stop is there, and ends once the spool is
empty.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from redoubt.edge.agent_link import AgentLink
from redoubt.edge.batches import (
    BatchKind,
    encode_details,
    encode_findings,
    encode_samples,
)
from redoubt.edge.spool import Draft
from redoubt.edge.spool_thread import SpoolThread, open_spool
from redoubt.edge.tls import client_context
from redoubt.model.errors import RemoteError
from tests.faults.polls import detail, finding, poll

DETAIL_EVERY = 10
_LIMIT_BYTES = 1 << 30


async def make_polls(
    spool: SpoolThread, begin: datetime, stop: Path, machines: int, cadence_s: float
) -> None:
    number = int(await spool.note("next") or b"0")
    while not stop.exists():
        samples = poll(begin, number, machines)
        drafts = [Draft(BatchKind.SAMPLES, len(samples), encode_samples(samples), samples[0].at)]
        if number % DETAIL_EVERY == 0:
            at = samples[0].at
            details = encode_details([detail(begin, number, number % machines)])
            drafts.append(Draft(BatchKind.DETAILS, 1, details, at))
            events = encode_findings([finding(begin, number, number % machines)])
            drafts.append(Draft(BatchKind.FINDINGS, 1, events, at))
        await spool.append(drafts, {"next": str(number + 1).encode()})
        say(f"poll {number} {time.monotonic():.4f}")
        number += 1
        await asyncio.sleep(cadence_s)


async def bring(spool: SpoolThread, link: AgentLink, polling: asyncio.Task[None]) -> None:
    while True:
        group = await spool.read_group()
        if not group:
            if polling.done():
                return
            await asyncio.sleep(0.01)
            continue
        try:
            receipt = await link.send(group)
        except RemoteError:
            await asyncio.sleep(0.05)
            continue
        await spool.ack(receipt.acked)
        if receipt.conflicts:
            await spool.renumber(receipt.conflicts, datetime.now(UTC))


async def main() -> None:
    folder, url, begin, machines, cadence_s = sys.argv[1:]
    home = Path(folder)
    spool = await open_spool(home / "spool.sqlite", _LIMIT_BYTES)
    link = AgentLink(url, client_context(home / "ca.crt", home / "agent.crt", home / "agent.key"))
    start = datetime.fromtimestamp(float(begin), UTC)
    async with asyncio.TaskGroup() as tasks:
        polling = tasks.create_task(
            make_polls(spool, start, home / "stop", int(machines), float(cadence_s))
        )
        tasks.create_task(bring(spool, link, polling))
    await link.close()
    await spool.close()
    say("done")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
