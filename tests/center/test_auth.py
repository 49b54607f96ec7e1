"""Nothing is open that does not say so, nothing is changed on the word of another site's page."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from litestar.handlers import HTTPRouteHandler

from redoubt.access.principal import Scope
from redoubt.access.secret import csrf_token
from redoubt.center.app import build_app
from redoubt.center.context import Center
from redoubt.center.errors import Seldom
from redoubt.center.security import CONTENT_SECURITY_POLICY
from redoubt.model.register import Role
from tests.center.conftest import ACME, Clock, Connect, add_session, add_token, add_user

PUBLIC = {
    "/api/v1/enrol",
    "/api/v1/enrol/ca",
    "/api/v1/enrol/renew",
    "/link/{code}",
    "/metrics",
    "/setup",
    "/sign-in",
}


def routes(center: Center) -> list[tuple[str, str, HTTPRouteHandler]]:
    return [
        (route.path_format, method, handler)
        for route in build_app(center).routes
        for handler in getattr(route, "route_handlers", [])
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods
    ]


async def test_only_these_addresses_are_open_to_anybody(center: Center) -> None:
    found = {path for path, _, handler in routes(center) if handler.opt.get("public")}
    assert {path for path in found if not path.startswith("/static")} == PUBLIC


async def test_every_other_address_refuses_a_stranger(center: Center, connect: Connect) -> None:
    client = connect()
    for path, method, handler in routes(center):
        if handler.opt.get("public") or method in ("HEAD", "OPTIONS"):
            continue
        filled = path.replace("{", "").replace("}", "")
        answer = await client.request(method, filled)
        assert answer.status_code == 401, (method, path)
        page = await client.request(method, filled, headers={"Accept": "text/html"})
        assert page.status_code in (401, 303), (method, path)


async def test_every_change_asks_for_more_than_reading(center: Center) -> None:
    for path, method, handler in routes(center):
        if method in ("GET", "HEAD", "OPTIONS") or handler.opt.get("public"):
            continue
        own = path in ("/sign-out", "/account")
        assert own or handler.opt.get("scope", Scope.READ) != Scope.READ, (method, path)


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic YTpi", "Bearer rda1.", "rda1.x"])
async def test_what_is_no_token_opens_nothing(
    center: Center, connect: Connect, header: str
) -> None:
    client = connect(session=add_session(center, add_user(center, "anna")))
    answer = await client.get("/api/v1/register", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_opens_what_its_scopes_say(
    center: Center, connect: Connect, clock: Clock
) -> None:
    reader = connect(token=add_token(center, frozenset({Scope.READ})))
    assert (await reader.get("/api/v1/register")).status_code == 200
    refused = await reader.get("/api/v1/users")
    assert (refused.status_code, refused.json()) == (403, {"error": "this needs the scope 'admin'"})
    metrics = connect(token=add_token(center, frozenset({Scope.METRICS})))
    assert (await metrics.get("/api/v1/register")).status_code == 403
    clock.move(days=31)
    assert (await reader.get("/api/v1/register")).status_code == 401


async def test_a_change_by_session_needs_the_sessions_token(
    center: Center, connect: Connect
) -> None:
    session = add_session(center, add_user(center, "anna"))
    client = connect(session=session)
    body = {"email": "bo@example.org", "name": "Bo", "role": "viewer"}
    for wrong in ("", csrf_token("another session")):
        answer = await client.post("/api/v1/users", json=body, headers={"X-CSRF-Token": wrong})
        assert answer.status_code == 403
    del client.headers["X-CSRF-Token"]
    assert (await client.post("/api/v1/users", json=body)).status_code == 403
    form = await client.post("/sign-out", data={"csrf_token": "0"})
    assert form.status_code == 403
    client.headers["X-CSRF-Token"] = csrf_token(session)
    assert (await client.post("/api/v1/users", json=body)).status_code == 201


async def test_a_role_is_what_it_is_now_not_at_sign_in(center: Center, connect: Connect) -> None:
    add_user(center, "bo")
    user = add_user(center, "anna")
    client = connect(session=add_session(center, user))
    assert (await client.get("/api/v1/users")).status_code == 200
    center.records.people.set_role(ACME, user, Role.VIEWER)
    assert (await client.get("/api/v1/users")).status_code == 403


async def test_every_answer_carries_the_policy(center: Center, connect: Connect) -> None:
    client = connect()
    for path in ("/sign-in", "/nowhere", "/api/v1/users", "/static/css/base.css"):
        answer = await client.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert (await client.get("/sign-in")).headers["cache-control"] == "no-store"


async def test_errors_are_sentences_as_json_or_as_a_page(center: Center, connect: Connect) -> None:
    client = connect(token=add_token(center))
    missing = await client.get("/api/v1/nowhere")
    assert missing.json() == {"error": "there is nothing at this address"}
    page = await client.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, "<h1>" in page.text) == (404, True)
    odd = await client.post("/api/v1/users", json={"email": 5})
    assert odd.status_code == 400
    assert "email" in odd.json()["error"]
    for deep in (b'{"email":' + b"[" * 8000, b"[" * 8000 + b"]" * 8000):
        answer = await client.post("/api/v1/users", content=deep)
        assert answer.status_code == 400
    large = await client.post("/api/v1/users", content=b"x" * 20_000)
    assert large.status_code == 413


async def test_a_bug_is_told_briefly_and_logged_without_its_path(
    center: Center,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(center.records.sessions, "use_link", fail)
    secret = "A" * 43
    answer = await connect().get(f"/link/{secret}")
    assert answer.status_code == 500
    assert "bug" not in answer.text
    assert "a bug" in caplog.text
    assert secret not in caplog.text.replace(f"code='{secret}'", "")


async def test_the_same_bug_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    seldom = Seldom(lambda: now)
    for _ in range(100):
        seldom.log(logging.ERROR, "a", "a failed: %s", "why")
    seldom.log(logging.ERROR, "b", "b failed")
    assert [record.getMessage() for record in caplog.records] == ["a failed: why", "b failed"]
    now = Seldom.EVERY_S
    seldom.log(logging.ERROR, "a", "a failed: %s", "why")
    assert caplog.records[-1].getMessage() == "a failed: why (and 99 more like it since)"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/", 401),
        ("OPTIONS", "/api/v1/sites", 401),
        ("OPTIONS", "/sign-in", 401),
        ("OPTIONS", "/nowhere", 404),
        ("TRACE", "/", 405),
        ("GET", "/static/%00", 404),
        ("GET", "/static/a%00b", 404),
        ("GET", "/static/" + "a" * 300, 404),
        ("GET", "/static/" + "a/" * 3000, 404),
        ("GET", "/static/css/base.css/x", 404),
        ("GET", "/static/css", 404),
        ("GET", "/static/%ff", 404),
    ],
)
async def test_odd_requests_of_strangers_are_answered_and_not_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture, method: str, path: str, status: int
) -> None:
    answer = await connect().request(method, path)
    assert answer.status_code == status
    assert not caplog.records


async def test_our_own_files_are_served(connect: Connect) -> None:
    answer = await connect().get("/static/css/base.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_use_is_noted_now_and_then(center: Center, connect: Connect, clock: Clock) -> None:
    client = connect(token=add_token(center))
    for _ in range(3):
        await client.get("/api/v1/register")
        clock.move(seconds=20)
    (token,) = center.records.tokens.list(ACME)
    assert token.used_at == clock.now - timedelta(seconds=60)
