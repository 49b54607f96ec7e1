"""Center → site: the register's newest snapshot, over a connection that the agent holds open."""

from __future__ import annotations

import asyncio
import logging

from redoubt.edge.tasks import Backoff, SayOnce
from redoubt.model.errors import RemoteError, ServiceError
from redoubt.site.agent import Agent

_FIRST_PAUSE_S = 1.0
_MOST_PAUSE_S = 60.0
REFUSED_PAUSE_S = 30.0
"""A center that has nothing but what we refuse would otherwise be asked without end."""
_log = logging.getLogger(__name__)


async def channel_flow(agent: Agent) -> None:
    """Wait for news until cancelled."""
    say = SayOnce(_log, "channel to the center")
    backoff = Backoff(_FIRST_PAUSE_S, _MOST_PAUSE_S)
    while True:
        try:
            if not await listen(agent):
                await asyncio.sleep(REFUSED_PAUSE_S)
        except (RemoteError, ServiceError) as exc:
            say.gone(exc)
            await asyncio.sleep(backoff.next_s())
        else:
            say.back()
            backoff.reset()


async def listen(agent: Agent) -> bool:
    """Wait once for news and take it in; return False where the center's news was no use.

    Raises RemoteError where the link does not work, ServiceError where our disk does not.
    """
    register = agent.register
    reply = await agent.link.channel(register.version)
    if reply is None or reply.snapshot is None:
        register.confirm(agent.clock())
        return reply is None
    try:
        changed = register.take(reply.snapshot, agent.clock())
    except ServiceError:
        agent.use_register()
        raise
    if changed:
        assert register.current is not None
        _log.info(
            "register version %d: %d machines", register.version, len(register.current.machines)
        )
        agent.use_register()
    return changed
