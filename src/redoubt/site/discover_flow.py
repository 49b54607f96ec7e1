"""Networks → places: looks for machines that nobody told of, and for the family of those told of.

Addresses that answer the poller are left out: some machines bear one connection at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import aclosing

from redoubt.edge.tasks import SayOnce, wait_for
from redoubt.model.errors import InputError, RedoubtError
from redoubt.model.status import MachineStatus
from redoubt.reconcile import ScanView, StrangeAddress
from redoubt.site.agent import FIRST_REGISTER_S, Agent
from redoubt.site.networks import MOST_ADDRESSES, Network, parse_networks
from redoubt.site.scan import scan

MAX_STRANGERS = 4096
_log = logging.getLogger(__name__)


async def discover_flow(agent: Agent) -> None:
    """Look around every `discover_every_s` until cancelled, sooner for places without a family."""
    say = SayOnce(_log, "discovery")
    looked_for: set[str] = set()
    await wait_for(agent.has_register, FIRST_REGISTER_S)
    if agent.roster.targets():
        # What is known already is read first, so that it can be left alone here.
        await asyncio.sleep(agent.config.cadence_s)
    while True:
        try:
            await discover(agent)
        except RedoubtError as exc:
            say.gone(exc)
        else:
            say.back()
        looked_for.update(agent.roster.unidentified())
        await _wait_for_work(agent, looked_for)


async def discover(agent: Agent) -> int:
    """Scan the configured networks and the places without a family; return how many are new."""
    config = agent.config
    networks, problems = _parse_all([*config.networks, *agent.roster.unidentified()])
    if not networks and not problems:
        return 0
    strangers: list[StrangeAddress] = []
    new = 0
    statuses = scan(
        networks,
        config.ports,
        rate=config.scan_rate,
        concurrency=config.concurrency,
        connections=2 * config.concurrency,
        skip=agent.roster.answering(agent.clock()),
        now=agent.clock,
    )
    async with aclosing(statuses) as found:
        async for status in found:
            if status.family is None:
                strangers.append(_stranger(status))
            elif agent.roster.found(status.address, status.family, config.ports):
                new += 1
                agent.newcomers.set()
    agent.scan = ScanView(
        ended_at=agent.clock(),
        strangers=tuple(strangers[:MAX_STRANGERS]),
        untried=len(problems),
        why_untried=problems[0] if problems else "",
    )
    if new:
        _log.info("discovery: %d new machines", new)
    return new


def _parse_all(texts: Iterable[str]) -> tuple[list[Network], list[str]]:
    """Return the networks that may be scanned, and a sentence for each that may not."""
    networks: list[Network] = []
    problems: list[str] = []
    left = MOST_ADDRESSES
    for text in texts:
        try:
            (network,) = parse_networks([text])
        except InputError as exc:
            problems.append(str(exc))
            continue
        if network.num_addresses > left:
            problems.append(f"{network} is left out: one scan takes {MOST_ADDRESSES} addresses")
            continue
        left -= network.num_addresses
        networks.append(network)
    return networks, problems


async def _wait_for_work(agent: Agent, looked_for: set[str]) -> None:
    """Wait until it is time again, or a place came up that was never looked for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + agent.config.discover_every_s
    while loop.time() < until:
        await asyncio.sleep(min(5.0, until - loop.time()))
        if not looked_for.issuperset(agent.roster.unidentified()):
            return


def _stranger(status: MachineStatus) -> StrangeAddress:
    text = "; ".join(note.text for note in status.notes) or "answers, and speaks no API I know"
    return StrangeAddress(status.address, status.at, text)
