"""Readings → findings: every few seconds the rules look at the whole site.

A finding's event and what is remembered of it reach the disk in one transaction, so that a restart
neither repeats nor forgets one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import datetime, timedelta

from redoubt.edge.tasks import SayOnce
from redoubt.model.errors import ServiceError
from redoubt.reconcile import judge_site, parse_limits
from redoubt.reconcile.catalogue import LimitSet
from redoubt.site.agent import Agent

JUDGE_EVERY_S = 5.0
REMEMBER_EVERY = timedelta(minutes=1)
_log = logging.getLogger(__name__)


async def judge_flow(agent: Agent) -> None:
    """Judge until cancelled."""
    limits = parse_limits(agent.config.limits)
    say = SayOnce(_log, "spool")
    remembered_at: datetime | None = None
    while True:
        await asyncio.sleep(min(JUDGE_EVERY_S, agent.config.cadence_s))
        now = agent.clock()
        due = remembered_at is None or now - remembered_at >= REMEMBER_EVERY
        if due:
            agent.forget_the_gone(now)
            try:
                await agent.look_at_disk()
            except ServiceError as exc:
                say.gone(exc)
            else:
                say.back()
        if judge(agent, limits, now, remember=due):
            remembered_at = now


def judge(agent: Agent, limits: LimitSet, now: datetime, *, remember: bool) -> bool:
    """Let the rules look once; return whether the site's memory goes to the disk with it."""
    view = agent.memory.view(
        agent.identity.site,
        agent.register.current,
        agent.view(),
        cadence_s=agent.config.cadence_s,
    )
    events = agent.findings.apply(judge_site(view, now, limits), now)
    if events:
        changes = Counter(event.change for event in events)
        _log.info("findings: %s", ", ".join(f"{changes[word]} {word}" for word in changes))
    if events or remember:
        agent.outbox.add_events(events, agent.notes())
    return bool(events) or remember
