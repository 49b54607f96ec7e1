"""What admins do by the API: people and their roles, tokens, agents, and the log of all that."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import Parameter

from redoubt.access.password import check_email, check_name
from redoubt.access.principal import Principal, PrincipalKind, Scope, allowed_scopes, parse_scopes
from redoubt.center.api_tokens import MAX_TOKEN_DAYS, make_api_token
from redoubt.center.context import Center
from redoubt.center.links import LINK_LIFE, make_link
from redoubt.center.site_tokens import ENROLMENT_LIFE, make_enrolment_token
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.records.people import Person
from redoubt.edge.records.tokens import ApiToken
from redoubt.model.errors import InputError
from redoubt.model.ids import SiteId, UserId
from redoubt.model.register import Role

MAX_BODY_BYTES = 16 * 1024
_ADMIN: dict[str, Any] = {"scope": Scope.ADMIN, "request_max_body_size": MAX_BODY_BYTES}


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    name: str
    role: Role


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role


class OneTimeLink(msgspec.Struct, frozen=True):
    """`path` opens once, until `expires_at`; give it to its user over a safe way."""

    user: UserId
    path: str
    expires_at: datetime


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scopes` as in the list of scopes; at most those of who asks. `days` is how long it lasts."""

    name: str
    scopes: list[str]
    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKEN_DAYS)] = 90


class MadeToken(msgspec.Struct, frozen=True):
    """`token` is shown here and never again."""

    id: str
    token: str
    expires_at: datetime


class MadeEnrolment(msgspec.Struct, frozen=True):
    """`token` is shown here and never again; it enrols one agent at `site`."""

    site: SiteId
    token: str
    expires_at: datetime


# -- people --------------------------------------------------------------------------------------


@get("/api/v1/users", scope=Scope.ADMIN)
async def get_users(center: Center, principal: Principal) -> Response[tuple[Person, ...]]:
    """Everybody in the organisation, with their role."""
    people = center.records.people
    return _json(await asyncio.to_thread(people.list, principal.organisation))


@post("/api/v1/users", **_ADMIN)
async def post_user(center: Center, principal: Principal, data: NewUser) -> Response[OneTimeLink]:
    """Add a person; the answer holds the one-time link by which they set their password."""
    now = center.clock()
    person = Person(
        id=UserId(f"u-{secrets.token_hex(8)}"),
        organisation=principal.organisation,
        email=check_email(data.email),
        name=check_name(data.name),
        role=data.role,
        created_at=now,
    )
    await asyncio.to_thread(center.records.people.add, person)
    await _note(center, principal, "user.add", f"user:{person.id}", f"as {person.role}")
    return _json(await _link(center, principal, person.id, now), 201)


@patch("/api/v1/users/{user:str}", **_ADMIN)
async def patch_user(
    center: Center, principal: Principal, user: str, data: NewRole
) -> Response[Person]:
    """Give a person another role."""
    person = await _person(center, principal, user)
    await asyncio.to_thread(
        center.records.people.set_role, principal.organisation, person.id, data.role
    )
    await _note(center, principal, "user.role", f"user:{user}", f"{person.role} to {data.role}")
    return _json(await _person(center, principal, user))


@delete("/api/v1/users/{user:str}", scope=Scope.ADMIN)
async def delete_user(center: Center, principal: Principal, user: str) -> None:
    """End a person's access at once: sessions, and the tokens that they made."""
    person = await _person(center, principal, user)
    now = center.clock()
    await asyncio.to_thread(center.records.people.disable, principal.organisation, person.id, now)
    await asyncio.to_thread(
        center.records.tokens.revoke_made_by, principal.organisation, f"user:{person.id}", now
    )
    await _note(center, principal, "user.disable", f"user:{user}")


@post("/api/v1/users/{user:str}/link", **_ADMIN)
async def post_link(center: Center, principal: Principal, user: str) -> Response[OneTimeLink]:
    """Make a one-time link by which a person sets a new password."""
    person = await _person(center, principal, user)
    await _note(center, principal, "user.link", f"user:{user}")
    return _json(await _link(center, principal, person.id, center.clock()), 201)


# -- tokens --------------------------------------------------------------------------------------


@get("/api/v1/tokens", scope=Scope.ADMIN)
async def get_tokens(center: Center, principal: Principal) -> Response[tuple[ApiToken, ...]]:
    """Every API token, without its secret."""
    return _json(await asyncio.to_thread(center.records.tokens.list, principal.organisation))


@post("/api/v1/tokens", **_ADMIN)
async def post_token(center: Center, principal: Principal, data: NewToken) -> Response[MadeToken]:
    """Make an API token. Tokens make no tokens: that needs a person."""
    if principal.kind is not PrincipalKind.USER:
        raise PermissionDeniedException("a token is made by a person who has signed in")
    token, text = await asyncio.to_thread(
        make_api_token,
        center.records,
        principal.organisation,
        data.name,
        allowed_scopes(parse_scopes(data.scopes), principal),
        principal.who,
        data.days,
        center.clock(),
    )
    words = f"{token.name}: {' '.join(token.scopes)}"
    await _note(center, principal, "token.add", f"token:{token.id}", words)
    return _json(MadeToken(token.id, text, token.expires_at), 201)


@delete("/api/v1/tokens/{token:str}", scope=Scope.ADMIN)
async def delete_token(center: Center, principal: Principal, token: str) -> None:
    """Revoke an API token at once."""
    try:
        await asyncio.to_thread(
            center.records.tokens.revoke, principal.organisation, token, center.clock()
        )
    except InputError as exc:
        raise NotFoundException(str(exc)) from exc
    await _note(center, principal, "token.revoke", f"token:{token}")


# -- agents --------------------------------------------------------------------------------------


@post("/api/v1/sites/{site:str}/enrolment-token", **_ADMIN)
async def post_enrolment_token(
    center: Center, principal: Principal, site: str
) -> Response[MadeEnrolment]:
    """Make a one-time token by which an agent enrols at a registered site."""
    now = center.clock()
    known = await asyncio.to_thread(
        center.records.register.site, principal.organisation, SiteId(site)
    )
    if known is None:
        raise NotFoundException(f"no site {site[:64]!r} is registered here")
    token = await asyncio.to_thread(
        make_enrolment_token,
        center.records,
        center.authority.certificate,
        principal.organisation,
        known.id,
        principal.who,
        now,
    )
    await _note(center, principal, "enrolment.add", f"site:{site}")
    return _json(MadeEnrolment(known.id, token, now + ENROLMENT_LIFE), 201)


@get("/api/v1/agents", scope=Scope.ADMIN)
async def get_agents(center: Center, principal: Principal) -> Response[tuple[Agent, ...]]:
    """Every agent that enrolled, with its certificate's end and whether it was revoked."""
    return _json(await asyncio.to_thread(center.records.agents.list, principal.organisation))


@post("/api/v1/sites/{site:str}/agents/{agent:str}/revoke", **_ADMIN)
async def revoke_agent(
    center: Center, principal: Principal, site: str, agent: str
) -> Response[Agent]:
    """Shut an agent out for good: its certificate opens nothing any more."""
    agents, organisation = center.records.agents, principal.organisation
    try:
        await asyncio.to_thread(agents.revoke, organisation, SiteId(site), agent, center.clock())
    except InputError as exc:
        raise NotFoundException(str(exc)) from exc
    await _note(center, principal, "agent.revoke", f"agent:{agent}", f"at site {site}")
    return _json(await asyncio.to_thread(agents.get, organisation, SiteId(site), agent))


@get("/api/v1/audit", scope=Scope.ADMIN)
async def get_audit(
    center: Center,
    principal: Principal,
    before: datetime | None = None,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
) -> Response[tuple[AuditEntry, ...]]:
    """Who changed what, newest first; `before` is the time of the last entry of the page above."""
    if before is not None and before.tzinfo is None:
        raise InputError("expected a time with its zone for before, as 2026-01-31T12:00:00Z")
    return _json(
        await asyncio.to_thread(center.records.audit.list, principal.organisation, before, limit)
    )


async def _person(center: Center, principal: Principal, user: str) -> Person:
    person = await asyncio.to_thread(
        center.records.people.get, principal.organisation, UserId(user)
    )
    if person is None:
        raise NotFoundException(f"no user {user[:64]!r} here")
    return person


async def _link(center: Center, principal: Principal, user: UserId, now: datetime) -> OneTimeLink:
    path = await asyncio.to_thread(
        make_link, center.records, principal.organisation, now, user=user
    )
    return OneTimeLink(user, path, now + LINK_LIFE)


async def _note(
    center: Center, principal: Principal, action: str, what: str, text: str = ""
) -> None:
    entry = AuditEntry(at=center.clock(), who=principal.who, action=action, object=what, text=text)
    await asyncio.to_thread(center.records.audit.add, principal.organisation, entry)


def _json(value: Any, status: int = 200) -> Response[Any]:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


route_handlers = (
    get_users,
    post_user,
    patch_user,
    delete_user,
    post_link,
    get_tokens,
    post_token,
    delete_token,
    post_enrolment_token,
    get_agents,
    revoke_agent,
    get_audit,
)
