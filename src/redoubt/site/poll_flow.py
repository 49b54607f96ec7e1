"""Machines → readings: every machine once per cadence, in groups that share their wake-ups.

Machines are spread over the groups by a hash of their address, so that one machine keeps its rhythm
however many others come and go. A machine that was not read yet does not wait for its group.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from contextlib import aclosing

from redoubt.edge.tasks import wait_for
from redoubt.model.sample import sample_of
from redoubt.site.agent import FIRST_REGISTER_S, Agent
from redoubt.site.details import place_of
from redoubt.site.poller import Poll, Target

GROUPS = 5
_log = logging.getLogger(__name__)


async def poll_flow(agent: Agent) -> None:
    """Read every machine on the cadence until cancelled."""
    # Without a register every machine is a stranger, and goes by another name for a moment.
    await wait_for(agent.has_register, FIRST_REGISTER_S)
    read: set[str] = set()
    async with asyncio.TaskGroup() as group:
        group.create_task(_read_newcomers(agent, read))
        for number in range(GROUPS):
            group.create_task(_read_group(agent, number, read))


async def sweep(agent: Agent, targets: Sequence[Target]) -> None:
    """Read targets once, and take in what they say."""
    if not targets:
        return
    concurrency = min(len(targets), agent.config.concurrency)
    async with aclosing(agent.poller.sweep(targets, concurrency)) as polls:
        async for poll in polls:
            take_poll(agent, poll)


def take_poll(agent: Agent, poll: Poll) -> None:
    """Make of one reading: whose it is, what the site remembers, a sample, sometimes details."""
    status = poll.status
    machine = agent.roster.resolve(status, agent.clock())
    if machine is None:
        return
    if machine != poll.target.machine:
        agent.poller.forget(poll.target.machine)
    agent.memory.learn(machine, status, factory_password=poll.factory_password)
    registered = agent.roster.registered(machine)
    rack, slot = place_of(registered)
    agent.outbox.add_sample(sample_of(machine, status, rack, slot))
    detail = agent.details.detail(machine, registered, status, poll.replies)
    if detail is not None:
        agent.outbox.add_detail(detail)


def group_of(address: str) -> int:
    return zlib.crc32(address.encode()) % GROUPS


async def _read_group(agent: Agent, number: int, read: set[str]) -> None:
    loop = asyncio.get_running_loop()
    cadence_s = agent.config.cadence_s
    due = loop.time() + (number + 1) * cadence_s / GROUPS
    while True:
        await asyncio.sleep(due - loop.time())
        targets = [
            target for target in agent.roster.targets() if group_of(target.address) == number
        ]
        read.update(target.address for target in targets)
        began = loop.time()
        await sweep(agent, targets)
        agent.sweep_s = loop.time() - began
        # A sweep that took longer than a cadence costs whole rounds; nothing is read twice in one.
        due += cadence_s * max(1, -(-(loop.time() - due) // cadence_s))


async def _read_newcomers(agent: Agent, read: set[str]) -> None:
    while True:
        await agent.newcomers.wait()
        agent.newcomers.clear()
        fresh = [target for target in agent.roster.targets() if target.address not in read]
        read.update(target.address for target in fresh)
        if len(fresh) > 1:
            _log.info("reading %d machines that were not read yet", len(fresh))
        await sweep(agent, fresh)
