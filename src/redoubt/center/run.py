"""Run a center: one process, one event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from cryptography import x509

from redoubt.center.agent_port import AgentPort, Office, serve
from redoubt.center.app import build_app
from redoubt.center.certificates import agent_certificate, web_certificate
from redoubt.center.context import Center
from redoubt.center.folder import CenterFolder, only_one
from redoubt.center.judge import CenterJudge
from redoubt.center.mover import Mover, Shelves
from redoubt.center.open import open_center
from redoubt.center.serve import MAX_CONNECTIONS, WebPort
from redoubt.center.settings import Settings
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.limits import describe_shortage, raise_file_limit
from redoubt.edge.tasks import run_until, stop_on_signals
from redoubt.edge.tls import server_context
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.reconcile import center_rules

log = logging.getLogger(__name__)

CONNECTIONS = 2_000
"""Browsers with a live stream each, and agents with two connections each."""


async def run_center(
    folder: CenterFolder,
    settings: Settings,
    on_ready: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or `stop`; `on_ready` gets the URL once pages are served.

    Raises InputError where a port is taken or a center runs in the folder already.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    file_limit = raise_file_limit()
    shortage = describe_shortage(file_limit, CONNECTIONS)
    if shortage:
        log.warning("%s", shortage)
    with only_one(folder):
        web = WebPort(settings.web(), *web_certificate(folder, settings))
        async with open_center(folder, settings) as center:
            port = AgentPort(_office(center))
            mover = Mover(
                center.inbox, center.telemetry, center.latest, shelves_of(center), center.clock
            )
            center.mover_figures = mover.figures
            judge = CenterJudge(center, port.contacts)
            async with _agent_port(folder, settings, port) as agent_url:
                center.agent_url = agent_url

                async def announce() -> None:
                    await web.wait_ready()
                    on_ready(web.listen.url)

                async def serve_pages() -> None:
                    # Browsers shall leave files for agents, records and stores.
                    most = min(MAX_CONNECTIONS, file_limit // 2)
                    await web.serve(build_app(center), stop, center.live.close, most)

                await run_until(
                    stop, serve_pages, mover.run, center.registers.watch, judge.run, announce
                )


def _office(center: Center) -> Office:
    """What the agents' port asks of the center."""
    records, certificates = center.records, center.certificates

    async def is_revoked(agent: AgentIdentity) -> bool:
        return await asyncio.to_thread(records.agents.is_revoked, *agent)

    async def renew(shown: x509.Certificate, csr_pem: str) -> str | None:
        return await asyncio.to_thread(certificates.renew, shown, csr_pem, center.clock())

    return Office(
        accept=center.inbox.accept,
        snapshot_after=center.registers.snapshot_after,
        is_revoked=is_revoked,
        renew=renew,
        clock=center.clock,
    )


def shelves_of(center: Center) -> Shelves:
    """Where the mover puts details and findings."""
    records, ours = center.records, center_rules()

    def apply_findings(
        organisation: OrganisationId, site: SiteId, events: Sequence[FindingEvent]
    ) -> None:
        """A site that speaks by a rule of the center's could hide what the center sees of it."""
        for event in events:
            if event.finding.rule in ours:
                raise RemoteProtocolError(f"rule {event.finding.rule!r} is the center's alone")
        records.findings.apply_events(organisation, site, events)

    return Shelves(keep_details=records.details.upsert, apply_findings=apply_findings)


@asynccontextmanager
async def _agent_port(
    folder: CenterFolder, settings: Settings, port: AgentPort
) -> AsyncIterator[str]:
    """Open the agents' port; yield the URL by which sites reach it."""
    listen = settings.agents()
    certificate, key = agent_certificate(folder, settings)
    context = server_context(certificate, key, folder.ca_certificate)
    async with serve(port, context, listen.host, listen.port) as number:
        host = settings.public_host or listen.host
        yield f"https://[{host}]:{number}" if ":" in host else f"https://{host}:{number}"
