"""Signing in and out, the one-time link, and setting a password. Plain pages without scripts."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.exceptions import (
    NotFoundException,
    PermissionDeniedException,
    TooManyRequestsException,
)
from litestar.params import Body
from litestar.response import Redirect, Template

from redoubt.access.password import check_email, check_name, check_password
from redoubt.access.principal import Principal, PrincipalKind
from redoubt.access.secret import Purpose, csrf_token, hash_secret, is_csrf_token, is_secret
from redoubt.center.auth import CSRF_FIELD, SESSION_LIFE, SessionAuth, cookie_name, is_secure
from redoubt.center.context import Center
from redoubt.center.links import LINK_LIFE, new_secret
from redoubt.center.passwords import hash_password, is_password, needs_rehash
from redoubt.center.settings import is_loopback
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.records.people import Person
from redoubt.edge.records.sessions import Link, LinkPurpose
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Role

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
AnyRequest = Request[Any, Any, Any]

MAX_FORM_BYTES = 16 * 1024
_WRONG = "That e-mail address and password do not belong together."


@get("/sign-in", public=True)
async def sign_in_page(
    center: Center,
    request: AnyRequest,
    next: str = "/",  # noqa: A002 - the word in the URL
) -> Template | Redirect:
    """The form. Whoever is signed in already goes where they wanted."""
    if isinstance(request.user, Principal):
        return Redirect(_local_path(next), status_code=303)
    return _sign_in_form(center, request, next)


@post("/sign-in", public=True, status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def sign_in(center: Center, request: AnyRequest, data: Form) -> Template | Redirect:
    """Check a password and begin a session. What was wrong is not said more closely."""
    _check_form(center, request, data)
    email, password = data.get("email", "").strip().lower(), data.get("password", "")
    going_to = data.get("next", "/")
    wait_s = center.sign_ins.attempt(client_address(center, request), email, center.clock())
    if wait_s:
        raise TooManyRequestsException(
            f"too many attempts to sign in: try again in {round(wait_s) + 1} seconds",
            headers={"Retry-After": str(round(wait_s) + 1)},
        )
    found = await asyncio.to_thread(center.records.people.credentials, email)
    async with center.sign_ins.hashing:
        right = await asyncio.to_thread(is_password, found[2] if found else None, password)
    if found is None or not right:
        return _sign_in_form(center, request, going_to, email=email, problem=_WRONG, status=401)
    organisation, user, password_hash = found
    center.sign_ins.succeed(client_address(center, request), email, center.clock())
    if needs_rehash(password_hash):
        await _store_password(center, organisation, user, password, end_sessions=False)
    return await _begin_session(center, organisation, user, _local_path(going_to))


@post("/sign-out", status_code=303)
async def sign_out(center: Center, request: AnyRequest, principal: Principal) -> Redirect:
    """End this session, here and in the records."""
    if isinstance(request.auth, SessionAuth):
        key = hash_secret(Purpose.SESSION, request.auth.secret)
        await asyncio.to_thread(center.records.sessions.end, principal.organisation, key)
    return Redirect("/sign-in", status_code=303, cookies=[_gone(center, "session")])


@get("/link/{code:str}", public=True)
async def follow_link(center: Center, code: str) -> Redirect:
    """Use up a one-time link: straight in, or on to the page that sets a password."""
    now = center.clock()
    link = None
    if is_secret(code):
        key = hash_secret(Purpose.LINK, code)
        link = await asyncio.to_thread(center.records.sessions.use_link, key, now)
    if link is None:
        raise NotFoundException(
            "this link was used already or has expired: `redoubt center link DIR` prints a new one"
        )
    if link.purpose is LinkPurpose.SIGN_IN and link.user is not None:
        return await _begin_session(center, link.organisation, link.user, "/")
    secret = new_secret()
    await asyncio.to_thread(
        center.records.sessions.add_link,
        Link(
            organisation=link.organisation,
            purpose=LinkPurpose.SETUP_FORM,
            user=link.user,
            created_at=now,
            expires_at=now + LINK_LIFE,
        ),
        hash_secret(Purpose.LINK, secret),
    )
    return Redirect("/setup", status_code=303, cookies=[_cookie(center, "setup", secret)])


@get("/setup", public=True)
async def setup_page(center: Center, request: AnyRequest) -> Template:
    """The page behind a one-time link: who are you, and what is your password?"""
    link = await _setup_link(center, request)
    return await _setup_form(center, request, link)


@post("/setup", public=True, status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def setup(center: Center, request: AnyRequest, data: Form) -> Template | Redirect:
    """Make the admin, or set the password, and sign in."""
    _check_form(center, request, data, "setup")
    # One after the other: two forms of one link would both find it unused. It is used up last, so
    # that a form with a mistake in it can be mended.
    async with center.sign_ins.setting_up:
        link = await _setup_link(center, request)
        try:
            password = _new_password(data, await _setup_email(center, link, data))
            user = link.user or await _add_admin(center, link.organisation, data)
        except InputError as exc:
            return await _setup_form(center, request, link, data, problem=str(exc))
        await _store_password(center, link.organisation, user, password, end_sessions=True)
        key = hash_secret(Purpose.LINK, _cookie_value(center, request, "setup"))
        await asyncio.to_thread(center.records.sessions.use_link, key, center.clock())
    answer = await _begin_session(center, link.organisation, user, "/")
    answer.cookies.append(_gone(center, "setup"))
    return answer


@get("/account")
async def account_page(request: AnyRequest, principal: Principal) -> Template:
    """Who is signed in, with what rights, and the form for a new password."""
    return _account(request, principal)


@post("/account", status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def change_password(
    center: Center, request: AnyRequest, principal: Principal, data: Form
) -> Template | Redirect:
    """Set a new password with the old one; every session ends but a new one here."""
    if principal.kind is not PrincipalKind.USER:
        raise PermissionDeniedException("an API token has no password")
    user = UserId(principal.id)
    person = await asyncio.to_thread(center.records.people.get, principal.organisation, user)
    if person is None:
        raise NotFoundException("this account is gone")
    wait_s = center.sign_ins.attempt(client_address(center, request), person.email, center.clock())
    if wait_s:
        raise TooManyRequestsException(f"too many attempts: try again in {round(wait_s) + 1} s")
    found = await asyncio.to_thread(center.records.people.credentials, person.email)
    async with center.sign_ins.hashing:
        old = data.get("old_password", "")
        right = await asyncio.to_thread(is_password, found[2] if found else None, old)
    if not right:
        return _account(request, principal, "The present password is another one.", 401)
    center.sign_ins.succeed(client_address(center, request), person.email, center.clock())
    try:
        password = _new_password(data, person.email)
    except InputError as exc:
        return _account(request, principal, str(exc), 400)
    await _store_password(center, principal.organisation, user, password, end_sessions=True)
    return await _begin_session(center, principal.organisation, user, "/account")


def client_address(center: Center, request: AnyRequest) -> str:
    """Return where a request comes from; behind our own proxy, what the proxy says."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if center.settings.public_url and forwarded and is_loopback(peer):
        return forwarded
    return peer


async def _begin_session(
    center: Center, organisation: OrganisationId, user: UserId, going_to: str
) -> Redirect:
    secret, now = new_secret(), center.clock()
    key = hash_secret(Purpose.SESSION, secret)
    await asyncio.to_thread(
        center.records.sessions.open, organisation, user, key, now, now + SESSION_LIFE
    )
    cookie = _cookie(center, "session", secret, max_age=int(SESSION_LIFE.total_seconds()))
    return Redirect(going_to, status_code=303, cookies=[cookie, _gone(center, "form")])


async def _store_password(
    center: Center, organisation: OrganisationId, user: UserId, password: str, *, end_sessions: bool
) -> None:
    async with center.sign_ins.hashing:
        password_hash = await asyncio.to_thread(hash_password, password)
    await asyncio.to_thread(
        center.records.people.set_password,
        organisation,
        user,
        password_hash,
        end_sessions=end_sessions,
    )
    if end_sessions:
        entry = AuditEntry(
            at=center.clock(), who=f"user:{user}", action="password.set", object=f"user:{user}"
        )
        await asyncio.to_thread(center.records.audit.add, organisation, entry)


async def _add_admin(center: Center, organisation: OrganisationId, data: dict[str, str]) -> UserId:
    now = center.clock()
    person = Person(
        id=UserId(f"u-{secrets.token_hex(8)}"),
        organisation=organisation,
        email=check_email(data.get("email", "")),
        name=check_name(data.get("name", "")),
        role=Role.ADMIN,
        created_at=now,
    )
    await asyncio.to_thread(center.records.people.add, person)
    entry = AuditEntry(at=now, who="console", action="user.add", object=f"user:{person.id}")
    await asyncio.to_thread(center.records.audit.add, organisation, entry)
    return person.id


def _new_password(data: dict[str, str], email: str) -> str:
    password = check_password(data.get("password", ""), email)
    if password != unicodedata.normalize("NFC", data.get("password_again", "")):
        raise InputError("the two passwords differ")
    return password


# -- forms and cookies -------------------------------------------------------------------------


def _sign_in_form(
    center: Center,
    request: AnyRequest,
    going_to: str,
    *,
    email: str = "",
    problem: str = "",
    status: int = 200,
) -> Template:
    secret = _cookie_value(center, request, "form")
    secret = secret if is_secret(secret) else new_secret()
    return Template(
        "auth/sign_in.html",
        context={
            "form_token": csrf_token(secret),
            "next": _local_path(going_to),
            "email": email,
            "problem": problem,
        },
        status_code=status,
        cookies=[_cookie(center, "form", secret)],
    )


async def _setup_form(
    center: Center,
    request: AnyRequest,
    link: Link,
    data: dict[str, str] | None = None,
    *,
    problem: str = "",
) -> Template:
    given = data or {}
    return Template(
        "auth/setup.html",
        context={
            "form_token": csrf_token(_cookie_value(center, request, "setup")),
            "is_new": link.user is None,
            "email": await _setup_email(center, link, given),
            "name": given.get("name", ""),
            "problem": problem,
        },
        status_code=400 if problem else 200,
    )


def _account(
    request: AnyRequest, principal: Principal, problem: str = "", status: int = 200
) -> Template:
    context = {"principal": principal, "problem": problem}
    return Template("auth/account.html", context=context, status_code=status)


async def _setup_email(center: Center, link: Link, data: dict[str, str]) -> str:
    if link.user is None:
        return data.get("email", "")
    person = await asyncio.to_thread(center.records.people.get, link.organisation, link.user)
    return person.email if person else ""


async def _setup_link(center: Center, request: AnyRequest) -> Link:
    secret = _cookie_value(center, request, "setup")
    key = hash_secret(Purpose.LINK, secret)
    link = await asyncio.to_thread(center.records.sessions.find_link, key, center.clock())
    if link is None or link.purpose is not LinkPurpose.SETUP_FORM:
        raise NotFoundException(
            "open a one-time link first: `redoubt center link DIR` prints a new one"
        )
    return link


def _check_form(
    center: Center, request: AnyRequest, data: dict[str, str], what: str = "form"
) -> None:
    """Refuse a form that another page sent: it has not our cookie's token."""
    secret = _cookie_value(center, request, what)
    if not is_secret(secret) or not is_csrf_token(secret, data.get(CSRF_FIELD, "")):
        raise PermissionDeniedException("this form is out of date: load the page again")


def _cookie_value(center: Center, request: AnyRequest, what: str) -> str:
    return request.cookies.get(cookie_name(center, what), "")


def _cookie(center: Center, what: str, value: str, max_age: int | None = None) -> Cookie:
    return Cookie(
        key=cookie_name(center, what),
        value=value,
        path="/",
        max_age=max_age,
        httponly=True,
        samesite="lax",
        secure=is_secure(center),
    )


def _gone(center: Center, what: str) -> Cookie:
    return _cookie(center, what, "", max_age=0)


def _local_path(path: str) -> str:
    """Return a path of this center, "/" for anything that would lead elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() and len(path) < 1000 else "/"


route_handlers = (
    sign_in_page,
    sign_in,
    sign_out,
    follow_link,
    setup_page,
    setup,
    account_page,
    change_password,
)
