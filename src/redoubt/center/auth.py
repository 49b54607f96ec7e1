"""Who a request acts for, and whether it may do what it asks.

`Authenticate` finds the principal by a Bearer token or a session cookie. `permit` is the one guard
and lies before every handler: without a word from the handler a request needs somebody with the
scope `read`; `public=True` opens a handler to anybody, `scope=Scope.X` asks for more. A request
that changes something on the strength of a cookie must carry the session's CSRF token.

Handlers take `principal: Principal` and `center: Center`, which the app provides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from redoubt.access.principal import ROLE_SCOPES, Principal, PrincipalKind, Scope
from redoubt.access.secret import (
    Purpose,
    csrf_token,
    hash_secret,
    is_csrf_token,
    is_secret,
    parse_api_token,
)
from redoubt.center.context import Center

Connection = ASGIConnection[Any, Any, Any, Any]

SESSION_LIFE = timedelta(days=7)
SESSION_IDLE = timedelta(hours=12)
TOUCH_AFTER = timedelta(minutes=1)
"""How stale the note of a session's or token's last use may be: reading writes nothing."""

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class SessionAuth:
    """A request that came with a session: its secret makes the CSRF token of its pages."""

    secret: str

    @property
    def csrf(self) -> str:
        return csrf_token(self.secret)


class Authenticate(AbstractAuthenticationMiddleware):
    """Sets `request.user` (a Principal or None) and `request.auth` (a SessionAuth or None)."""

    def __init__(self, app: ASGIApp, center: Center) -> None:
        # Without this the framework leaves OPTIONS out, and the guard finds no user to look at.
        super().__init__(app, exclude_http_methods=[])
        self._center = center

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        return await authenticate(self._center, connection)


async def authenticate(center: Center, connection: Connection) -> AuthenticationResult:
    """Return who a request acts for now: a long answer asks again while it goes on."""
    header = connection.headers.get("authorization")
    if header is not None:
        return AuthenticationResult(await _by_token(center, header), None)
    secret = connection.cookies.get(session_cookie(center), "")
    if not is_secret(secret):
        return AuthenticationResult(None, None)
    principal = await _by_session(center, secret)
    return AuthenticationResult(principal, SessionAuth(secret) if principal else None)


async def _by_session(center: Center, secret: str) -> Principal | None:
    now = center.clock()
    key = hash_secret(Purpose.SESSION, secret)
    session = await asyncio.to_thread(center.records.sessions.find, key, now, SESSION_IDLE)
    if session is None:
        return None
    if now - session.seen_at > TOUCH_AFTER:
        await asyncio.to_thread(center.records.sessions.touch, session.organisation, key, now)
    return Principal(
        kind=PrincipalKind.USER,
        id=session.user,
        organisation=session.organisation,
        name=session.name,
        role=session.role,
        scopes=ROLE_SCOPES[session.role],
    )


async def _by_token(center: Center, header: str) -> Principal | None:
    now = center.clock()
    scheme, _, text = header.partition(" ")
    secret = parse_api_token(text.strip())
    if scheme.lower() != "bearer" or secret is None:
        return None
    key = hash_secret(Purpose.API_TOKEN, secret)
    token = await asyncio.to_thread(center.records.tokens.find, key, now)
    if token is None:
        return None
    if token.used_at is None or now - token.used_at > TOUCH_AFTER:
        await asyncio.to_thread(center.records.tokens.touch, token.organisation, token.id, now)
    return Principal(
        kind=PrincipalKind.TOKEN,
        id=token.id,
        organisation=token.organisation,
        name=token.name,
        role=None,
        scopes=frozenset(token.scopes),
    )


async def permit(connection: Connection, handler: BaseRouteHandler) -> None:
    """The guard before every handler. See the module's docstring."""
    if handler.opt.get("public", False):
        return
    principal = connection.user
    if not isinstance(principal, Principal):
        raise NotAuthorizedException("sign in first, or send an API token as a Bearer token")
    needed = Scope(handler.opt.get("scope", Scope.READ))
    if not principal.may(needed):
        raise PermissionDeniedException(f"this needs the scope {needed.value!r}")
    await check_csrf(connection)


async def check_csrf(connection: Connection) -> None:
    """Refuse a change that a page of another origin could have sent with our cookie."""
    if not isinstance(connection, Request) or connection.method in _SAFE_METHODS:
        return
    if not isinstance(connection.auth, SessionAuth):
        return
    given = await _given_csrf(connection)
    if not is_csrf_token(connection.auth.secret, given):
        raise PermissionDeniedException("this form is out of date: load the page again")


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """The `principal` of a handler that is not public."""
    if not isinstance(request.user, Principal):
        raise NotAuthorizedException("sign in first, or send an API token as a Bearer token")
    return request.user


def csrf_of(request: Request[Any, Any, Any]) -> str:
    """The CSRF token for a page's forms and meta tag; "" where nobody is signed in."""
    return request.auth.csrf if isinstance(request.auth, SessionAuth) else ""


def is_secure(center: Center) -> bool:
    """Whether people reach this center by TLS, so that cookies must travel by nothing else."""
    public = center.settings.public_url or ""
    return center.settings.web().tls or public.startswith("https://")


def session_cookie(center: Center) -> str:
    return cookie_name(center, "session")


def cookie_name(center: Center, what: str) -> str:
    """Cookies know no ports: the center's name keeps two centers on one host apart."""
    prefix = "__Host-" if is_secure(center) else ""
    return f"{prefix}redoubt_{what}_{center.name}"


async def _given_csrf(connection: Request[Any, Any, Any]) -> str:
    header = connection.headers.get(CSRF_HEADER)
    if header is not None:
        return header
    kind = connection.headers.get("content-type", "").partition(";")[0].strip()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        value = (await connection.form()).get(CSRF_FIELD, "")
        return value if isinstance(value, str) else ""
    return ""
