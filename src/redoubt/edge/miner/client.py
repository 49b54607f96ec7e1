"""`MinerClient`: asks machines a driver's calls, and remembers Digest nonces."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

import msgspec

from redoubt.edge.miner.exchange import Framing, OutOfSockets, exchange
from redoubt.edge.miner.framing import (
    CgminerFraming,
    HttpFraming,
    HttpReply,
    LengthFraming,
    with_length,
)
from redoubt.edge.miner.pace import Pace
from redoubt.machines._digest import Challenge, authorization, parse_challenge
from redoubt.machines._driver import Auth, Call, Endpoint, Reply, Transport
from redoubt.model.errors import NeedsAuth, RemoteRefused

_MOST_NONCES = 65_536
_OUT_OF_SOCKETS_WAIT_S = 0.25
_COMPLAIN_EVERY_S = 60.0

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


class Login(msgspec.Struct, frozen=True):
    """A user name and password for a machine's own web side."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r}, password=…)"


class HttpRefusal(RemoteRefused):
    """The web side is there and answers this one request with an error of its own."""


class _Session:
    """A server's challenge and how many requests used it."""

    __slots__ = ("challenge", "count")

    def __init__(self, challenge: Challenge) -> None:
        self.challenge = challenge
        self.count = 0


def utc_now() -> datetime:
    return datetime.now(UTC)


class MinerClient:
    """At most `connections` sockets at once; waiting for one does not count against a deadline."""

    def __init__(
        self,
        connections: int = 512,
        now: Callable[[], datetime] = utc_now,
        pace: Pace | None = None,
    ) -> None:
        self._slots = asyncio.Semaphore(connections)
        self._now = now
        self._pace = pace
        self._sessions: dict[Endpoint, _Session] = {}
        self._complained_at = -math.inf
        self.calls_made = 0

    async def ask(self, call: Call, endpoint: Endpoint, login: Login | None = None) -> Reply:
        """Return the reply to one call.

        Raises NeedsAuth without a fitting login, and another RemoteError for what the machine does.
        """
        if call.auth is Auth.DIGEST and login is None:
            raise NeedsAuth("no password was given for this machine")
        async with self._slots:
            body = await self._body(call, endpoint, login)
        return Reply(body, self._now())

    async def _body(self, call: Call, endpoint: Endpoint, login: Login | None) -> bytes:
        match call.transport:
            case Transport.CGMINER:
                return await self._exchange(call, endpoint, call.request, _CGMINER)
            case Transport.WHATSMINER_V3:
                framing = LengthFraming(call.bounds.max_bytes)
                return await self._exchange(call, endpoint, with_length(call.request), framing)
            case Transport.HTTP:
                return await self._ask_http(call, endpoint, login)

    async def _exchange(
        self, call: Call, endpoint: Endpoint, request: bytes, framing: Framing[_Answer]
    ) -> _Answer:
        """Make one exchange; where we lack a socket, wait: it says nothing of the machine."""
        while True:
            if self._pace is not None:
                await self._pace.turn()
            try:
                answer = await exchange(
                    endpoint.host,
                    endpoint.port,
                    request,
                    framing,
                    timeout_s=call.bounds.timeout_s,
                    max_bytes=call.bounds.max_bytes,
                )
            except OutOfSockets as exc:
                self._complain(exc)
                await asyncio.sleep(_OUT_OF_SOCKETS_WAIT_S)
                continue
            finally:
                self.calls_made += 1
            return answer

    def _complain(self, shortage: OutOfSockets) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = now
            _log.warning("%s; waiting for one", shortage)

    async def _ask_http(self, call: Call, endpoint: Endpoint, login: Login | None) -> bytes:
        if login is None or call.auth is not Auth.DIGEST:
            return _body_of(await self._http(call, endpoint, None))
        session = self._sessions.get(endpoint)
        if session is not None:
            reply = await self._http(call, endpoint, _authorize(session, call, login))
            if reply.status != HTTPStatus.UNAUTHORIZED:
                return _body_of(reply)
        else:
            reply = await self._http(call, endpoint, None)
            if reply.status != HTTPStatus.UNAUTHORIZED:
                return _body_of(reply)
        session = self._new_session(endpoint, reply)
        return _body_of(await self._http(call, endpoint, _authorize(session, call, login)))

    def _new_session(self, endpoint: Endpoint, reply: HttpReply) -> _Session:
        challenge = parse_challenge(reply.headers.get("www-authenticate", ""))
        if challenge is None:
            raise NeedsAuth("asks for a kind of sign-in that is not Digest")
        if len(self._sessions) >= _MOST_NONCES:
            self._sessions.pop(next(iter(self._sessions)))
        session = self._sessions[endpoint] = _Session(challenge)
        return session

    async def _http(self, call: Call, endpoint: Endpoint, authorized: str | None) -> HttpReply:
        method, _, path = call.request.decode("ascii").partition(" ")
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host}" if endpoint.port == 80 else f"Host: {host}:{endpoint.port}",
            "Accept: application/json",
            "Connection: close",
        ]
        if authorized is not None:
            lines.append(f"Authorization: {authorized}")
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        return await self._exchange(call, endpoint, request, HttpFraming())


_CGMINER = CgminerFraming()


def _authorize(session: _Session, call: Call, login: Login) -> str:
    method, _, path = call.request.decode("ascii").partition(" ")
    session.count += 1
    return authorization(
        session.challenge,
        method,
        path,
        login.user,
        login.password,
        count=session.count,
        cnonce=secrets.token_hex(8),
    )


def _refusal(reply: HttpReply) -> str:
    if reply.status == HTTPStatus.FORBIDDEN:
        return "forbids the request (HTTP 403)"
    challenge = parse_challenge(reply.headers.get("www-authenticate", ""))
    realm = f" for {challenge.realm[:64]!r}" if challenge else ""
    return f"asks for a password{realm}"


def _body_of(reply: HttpReply) -> bytes:
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise NeedsAuth(_refusal(reply))
    if not 200 <= reply.status < 300:
        raise HttpRefusal(f"answers HTTP {reply.status}")
    return reply.body
