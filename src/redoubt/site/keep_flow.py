"""Readings → disk: what waits in the outbox becomes batches in the spool, seconds at a time."""

from __future__ import annotations

import asyncio
import logging

from redoubt.edge.tasks import Backoff, SayOnce, wait_for
from redoubt.model.errors import ServiceError
from redoubt.site.agent import Agent
from redoubt.site.outbox import Load

GATHER_S = 3.0
"""How long readings gather into one batch: fewer, larger batches pack and deliver better."""
_log = logging.getLogger(__name__)


async def keep_flow(agent: Agent, stop: asyncio.Event) -> None:
    """Bring what waits to the disk until `stop` is set, and then what is left.

    It is never cancelled halfway: an append that was begun is on the disk or is tried again.
    """
    say = SayOnce(_log, "spool")
    backoff = Backoff(first_s=1.0, most_s=30.0)
    gather_s = min(GATHER_S, agent.config.cadence_s / 5)
    load = Load((), {})
    while not stop.is_set():
        await wait_for(stop, gather_s)
        if not load.drafts and not load.notes:
            load = agent.outbox.take(agent.clock())
        try:
            load = await _keep(agent, load)
        except ServiceError as exc:
            say.gone(exc)
            await wait_for(stop, backoff.next_s())
        else:
            say.back()
            backoff.reset()
    await _keep_the_rest(agent, load)


async def _keep(agent: Agent, load: Load) -> Load:
    """Append a load; return an empty one. Raises ServiceError where the disk does not take it."""
    if load.drafts or load.notes:
        steps = await agent.spool.append(load.drafts, load.notes)
        agent.made_room(steps, agent.clock())
        agent.has_spooled.set()
    return Load((), {})


async def _keep_the_rest(agent: Agent, load: Load) -> None:
    for left in (load, agent.outbox.take(agent.clock())):
        try:
            await _keep(agent, left)
        except ServiceError as exc:
            rows = sum(draft.rows for draft in left.drafts)
            _log.error("%d rows could not be kept at the end: %s", rows, exc)
