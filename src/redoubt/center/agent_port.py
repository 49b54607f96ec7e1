"""The agents' port: TLS 1.3 with a client certificate, which alone says who is speaking.

An agent brings batches, waits for news of its register, and renews its certificate. Nothing that a
request says about organisation, site or agent is looked at. What the port needs of the rest of the
center comes in as `Office`, so that it can be tried with real sockets and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from aiohttp import web
from cryptography import x509

from redoubt.edge.agent_link import (
    BATCHES_PATH,
    CHANNEL_PATH,
    CHANNEL_WAIT_S,
    MAX_REQUEST_BYTES,
    RENEW_PATH,
    ChannelReply,
    Receipt,
)
from redoubt.edge.batches import Batch, decode_batches
from redoubt.edge.inbox import InboxFull
from redoubt.edge.keys import MAX_PEM_BYTES, AgentIdentity, is_expired, parse_agent_identity
from redoubt.model.errors import RedoubtError, RemoteProtocolError, ServiceError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register.snapshot import SignedSnapshot

LOG = logging.getLogger(__name__)

BODY_TIMEOUT_S = 60.0
"""How long an agent may take to bring one body: 32 MB over a slow link."""
MAX_BODIES = 8
"""Bodies read at the same time, from different agents: at most 256 MB."""
MAX_BATCHES = 10_000
MAX_POLLS = 2
"""Requests of one agent that wait for news: the one whose connection broke unseen, and the next."""
_MAX_VERSION_DIGITS = 18

_AGENT = web.RequestKey("agent", AgentIdentity)


@dataclass(frozen=True, kw_only=True)
class Office:
    """What the port asks of the center.

    accept: keep batches durably (`Inbox.accept`); its errors become the answer.
    snapshot_after: the signed register slice newer than a version, or None in time.
    is_revoked: whether an agent may no longer come in.
    renew: a new certificate (PEM) for the certificate that was shown and a request (PEM), or None
        where the agent may not have one; RemoteProtocolError where the request is none.
    """

    accept: Callable[[AgentIdentity, list[Batch], datetime], Awaitable[Receipt]]
    snapshot_after: Callable[[OrganisationId, SiteId, int, float], Awaitable[SignedSnapshot | None]]
    is_revoked: Callable[[AgentIdentity], Awaitable[bool]]
    renew: Callable[[x509.Certificate, str], Awaitable[str | None]]
    clock: Callable[[], datetime]
    channel_wait_s: float = CHANNEL_WAIT_S


@dataclass
class Contacts:
    """When agents were last let in, or turned away (revoked, expired) and from what address."""

    let_in: dict[AgentIdentity, datetime] = field(default_factory=dict)
    turned_away: dict[AgentIdentity, tuple[datetime, str]] = field(default_factory=dict)


class AgentPort:
    """The port's handlers. `serve` opens it."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._bodies = asyncio.Semaphore(MAX_BODIES)
        self._bringing: set[AgentIdentity] = set()
        self._polls: dict[AgentIdentity, list[asyncio.Timeout]] = {}
        self.contacts = Contacts()

    def application(self) -> web.Application:
        application = web.Application(
            client_max_size=MAX_REQUEST_BYTES, middlewares=[self._admit, _answer_errors]
        )
        application.router.add_post(BATCHES_PATH, self._batches)
        application.router.add_get(CHANNEL_PATH, self._channel)
        application.router.add_post(RENEW_PATH, self._renew)
        return application

    @web.middleware
    async def _admit(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let in whom the certificate names, unless it has expired meanwhile or is revoked."""
        now = self._office.clock()
        try:
            certificate = _client_certificate(request)
            agent = parse_agent_identity(certificate)
        except RemoteProtocolError as exc:
            return _error(403, str(exc))
        why = await self._why_not(agent, certificate, now)
        if why is not None:
            self.contacts.turned_away[agent] = (now, request.remote or "")
            return _error(403, why)
        self.contacts.let_in[agent] = now
        request[_AGENT] = agent
        return await handler(request)

    async def _why_not(
        self, agent: AgentIdentity, certificate: x509.Certificate, now: datetime
    ) -> str | None:
        if is_expired(certificate, now):
            return "certificate has expired: renew it with the old key"
        if await self._office.is_revoked(agent):
            return f"agent {agent.agent} of site {agent.site} was revoked"
        return None

    async def _batches(self, request: web.Request) -> web.Response:
        agent = request[_AGENT]
        if agent in self._bringing:
            return _error(503, "another request of this agent is being read")
        self._bringing.add(agent)
        try:
            async with self._bodies:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    body = await request.read()
                # Decoding takes milliseconds per megabyte: too long for everybody else to wait.
                batches = await asyncio.to_thread(_decode_batches, body)
                del body
                receipt = await self._office.accept(agent, batches, self._office.clock())
        except TimeoutError:
            return _error(408, f"body did not come within {BODY_TIMEOUT_S:.0f} s")
        finally:
            self._bringing.discard(agent)
        return web.Response(body=msgspec.json.encode(receipt), content_type="application/json")

    async def _channel(self, request: web.Request) -> web.Response:
        agent = request[_AGENT]
        text = request.query.get("register", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_VERSION_DIGITS):
            return _error(400, f"expected register=<version>, got {text[:40]!r}")
        office = self._office
        try:
            async with self._waiting(agent):
                snapshot = await office.snapshot_after(
                    agent.organisation, agent.site, int(text), office.channel_wait_s
                )
        except TimeoutError:
            return _error(503, f"more than {MAX_POLLS} requests of this agent wait for news")
        if snapshot is None:
            return web.Response(status=204)
        # The agent may have been revoked while it waited.
        if await office.is_revoked(agent):
            return _error(403, f"agent {agent.agent} of site {agent.site} was revoked")
        reply = ChannelReply(snapshot=snapshot, at=office.clock())
        return web.Response(body=msgspec.msgpack.encode(reply), content_type="application/msgpack")

    @asynccontextmanager
    async def _waiting(self, agent: AgentIdentity) -> AsyncIterator[None]:
        """Hold one of an agent's few places to wait in; who has waited longest makes room, and gets
        a TimeoutError."""
        patience = asyncio.timeout(None)
        places = self._polls.setdefault(agent, [])
        if len(places) >= MAX_POLLS:
            places.pop(0).reschedule(0.0)
        try:
            async with patience:
                places.append(patience)
                yield
        finally:
            if patience in places:
                places.remove(patience)
            if not places and self._polls.get(agent) is places:
                del self._polls[agent]

    async def _renew(self, request: web.Request) -> web.Response:
        agent = request[_AGENT]
        if (request.content_length or 0) > MAX_PEM_BYTES:
            return _error(413, f"a certificate request is under {MAX_PEM_BYTES} bytes")
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.content.read(MAX_PEM_BYTES + 1)
        shown = _client_certificate(request)
        certificate = await self._office.renew(shown, body.decode("ascii", "replace"))
        if certificate is None:
            why = "was revoked, or this certificate's key was replaced"
            return _error(403, f"agent {agent.agent} of site {agent.site} {why}")
        return web.Response(text=certificate, content_type="application/x-pem-file")


@asynccontextmanager
async def serve(
    port: AgentPort, context: ssl.SSLContext, host: str, number: int
) -> AsyncIterator[int]:
    """Listen at host and port number (0: any free one); yield the number. TLS by `context`."""
    # Without cancellation a long poll would outlive its agent by CHANNEL_WAIT_S.
    runner = web.AppRunner(
        port.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, number, ssl_context=context, reuse_address=True)
        try:
            await site.start()
        except OSError as exc:
            raise ServiceError(f"cannot listen for agents at {host}:{number}: {exc}") from exc
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@web.middleware
async def _answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn our errors into answers that the agent understands."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _error(413, f"a request is at most {MAX_REQUEST_BYTES} bytes")
    except RemoteProtocolError as exc:
        return _error(400, str(exc))
    except InboxFull as exc:
        return _error(507, str(exc))
    except TimeoutError:
        return _error(408, "request did not come in time")
    except RedoubtError as exc:
        LOG.warning("agent port: %s", exc)
        return _error(503, "the center cannot take this now")


def _client_certificate(request: web.Request) -> x509.Certificate:
    """Return the certificate that the TLS handshake has verified."""
    transport = request.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    if der is None:
        raise RemoteProtocolError("no client certificate")
    return x509.load_der_x509_certificate(der)


def _decode_batches(body: bytes) -> list[Batch]:
    batches = decode_batches(body)
    if len(batches) > MAX_BATCHES:
        raise RemoteProtocolError(f"{len(batches)} batches in one request is over {MAX_BATCHES}")
    return batches


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
