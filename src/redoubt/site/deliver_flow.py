"""Disk → center: the oldest batches first; each is deleted only when the center has it for good.

A lost answer is harmless: the same batches go again under the same keys. Polling knows nothing of
all this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from redoubt.edge.agent_link import BatchesRefused, Receipt
from redoubt.edge.batches import Batch
from redoubt.edge.spool import Key
from redoubt.edge.tasks import Backoff, SayOnce
from redoubt.model.errors import RemoteError, RemoteProtocolError, ServiceError
from redoubt.site.agent import Agent

_FIRST_PAUSE_S = 1.0
_MOST_PAUSE_S = 60.0
_log = logging.getLogger(__name__)


async def deliver_flow(agent: Agent) -> None:
    """Deliver until cancelled."""
    say = SayOnce(_log, "delivery to the center")
    backoff = Backoff(_FIRST_PAUSE_S, _MOST_PAUSE_S)
    while True:
        agent.has_spooled.clear()
        try:
            if not await deliver(agent):
                await agent.has_spooled.wait()
        except (RemoteError, ServiceError) as exc:
            say.gone(exc)
            await asyncio.sleep(backoff.next_s())
        else:
            say.back()
            backoff.reset()


async def deliver(agent: Agent) -> bool:
    """Bring one group of batches to the center; return whether there was one.

    Raises RemoteError where nothing came of it, and ServiceError where our own disk fails.
    """
    group = await agent.spool.read_group()
    if not group:
        return False
    try:
        receipt = await agent.link.send(group)
    except BatchesRefused as exc:
        await _deliver_one_by_one(agent, group, exc)
    else:
        await _settle(agent, group, receipt)
    return True


async def _settle(agent: Agent, group: Sequence[Batch], receipt: Receipt) -> None:
    offered = {_key(batch) for batch in group}
    acked = offered.intersection(receipt.acked)
    conflicts = offered.intersection(receipt.conflicts) - acked
    if acked:
        await agent.spool.ack(sorted(acked))
    if conflicts:
        now = agent.clock()
        await agent.spool.renumber(sorted(conflicts, key=lambda key: key[1]), now)
        agent.put_aside(now)
        raise RemoteProtocolError(
            f"center holds other batches under {len(conflicts)} of our keys: they get new ones"
        )
    if not acked:
        raise RemoteProtocolError("center took none of the batches that it was offered")


async def _deliver_one_by_one(
    agent: Agent, group: Sequence[Batch], refusal: BatchesRefused
) -> None:
    """Find the batches that the center cannot read, and put them aside.

    Where it can read none at all the fault is not in a batch, and everything is kept.
    """
    refused: list[Key] = []
    taken = 0
    for batch in group:
        try:
            receipt = await agent.link.send([batch])
        except BatchesRefused:
            refused.append(_key(batch))
        else:
            await _settle(agent, [batch], receipt)
            taken += 1
    if not taken:
        raise refusal
    now = agent.clock()
    await agent.spool.set_aside(refused, "refused", now)
    agent.put_aside(now)
    _log.warning("%d batches are put aside: %s", len(refused), refusal)


def _key(batch: Batch) -> Key:
    return (batch.epoch, batch.seq)
