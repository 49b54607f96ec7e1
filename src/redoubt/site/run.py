"""`redoubt site run DIR`: an agent from its folder, and its flows side by side until it is stopped.

    machines ─poll_flow─▶ outbox ─keep_flow─▶ spool ─deliver_flow─▶ center
    networks ─discover_flow─▶ roster      judge_flow: memory ─▶ findings ─▶ outbox
    center ─channel_flow─▶ register       renew_flow: the agent's certificate

Polling waits for nobody: not for the disk, the center, or another machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from redoubt.edge.agent_link import AgentLink
from redoubt.edge.keys import (
    AgentIdentity,
    load_certificate,
    parse_agent_identity,
    parse_public_key,
)
from redoubt.edge.limits import describe_shortage, raise_file_limit
from redoubt.edge.miner import MinerClient
from redoubt.edge.spool_thread import open_spool
from redoubt.edge.tasks import run_until, stop_on_signals
from redoubt.edge.tls import client_context
from redoubt.model.errors import InputError, RemoteProtocolError
from redoubt.site.agent import Agent, parse_kept
from redoubt.site.channel_flow import channel_flow
from redoubt.site.config import load_config
from redoubt.site.credentials import load_credentials
from redoubt.site.deliver_flow import deliver_flow
from redoubt.site.discover_flow import discover_flow
from redoubt.site.folder import SiteFolder
from redoubt.site.judge_flow import judge_flow
from redoubt.site.keep_flow import keep_flow
from redoubt.site.poll_flow import poll_flow
from redoubt.site.poller import Poller
from redoubt.site.register import RegisterKeeper
from redoubt.site.renew_flow import renew_flow

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


async def run_site(folder: SiteFolder, clock: Callable[[], datetime] = utc_now) -> None:
    """Run the agent of DIR until SIGTERM or SIGINT; what was read is then on the disk.

    Raises InputError where DIR cannot be used, ServiceError where its spool cannot.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    with folder.locked():
        async with open_agent(folder, clock) as agent:
            _log.info(
                "site %s of %s: agent %s",
                agent.identity.site,
                agent.identity.organisation,
                agent.identity.agent,
            )
            await run_agent(agent, stop)


async def run_agent(agent: Agent, stop: asyncio.Event) -> None:
    """Run all flows until `stop` is set, then keep what they have read."""
    polled = asyncio.Event()
    flows = (poll_flow, judge_flow, deliver_flow, channel_flow, discover_flow, renew_flow)
    async with asyncio.TaskGroup() as keeping:
        keeping.create_task(keep_flow(agent, polled))
        await run_until(stop, *(partial(flow, agent) for flow in flows))
        agent.outbox.add_events((), agent.notes())
        polled.set()


@asynccontextmanager
async def open_agent(
    folder: SiteFolder, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[Agent]:
    """Open everything that the agent of DIR holds, and close it at the end."""
    config = load_config(folder)
    identity = parse_agent_identity(load_certificate(folder.certificate))
    register = load_register(folder, identity)
    connections = 2 * config.concurrency
    shortage = describe_shortage(raise_file_limit(), connections)
    if shortage is not None:
        _log.warning("%s", shortage)
    poller = Poller(
        load_credentials(folder.credentials), now=clock, client=MinerClient(connections, now=clock)
    )
    context = client_context(folder.authority, folder.certificate, folder.key)
    spool = await open_spool(folder.spool, config.spool_limit_mb * 1024**2)
    try:
        kept = parse_kept(await spool.note("kept"))
        link = AgentLink(config.agent_url, context)
        try:
            yield Agent(
                folder=folder,
                config=config,
                identity=identity,
                register=register,
                spool=spool,
                link=link,
                poller=poller,
                kept=kept,
                clock=clock,
            )
        finally:
            await link.close()
    finally:
        await spool.close()


def load_register(folder: SiteFolder, identity: AgentIdentity) -> RegisterKeeper:
    """Return the keeper of DIR's register, with the last good snapshot if there is one."""
    register = RegisterKeeper(folder.snapshot, _center_key(folder), identity)
    register.load()
    return register


def _center_key(folder: SiteFolder) -> Ed25519PublicKey:
    try:
        return parse_public_key(folder.center_key.read_text(encoding="ascii"))
    except (OSError, ValueError, RemoteProtocolError) as exc:
        raise InputError(f"expected the center's key in {folder.center_key}: {exc}") from exc
