"""How people come in: a one-time link, then a password; and how others do not."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import argon2
import httpx
import pytest

from redoubt.center import passwords
from redoubt.center.auth import session_cookie
from redoubt.center.context import Center
from redoubt.center.links import make_link
from redoubt.center.settings import Settings
from redoubt.edge.records.sessions import LinkPurpose
from redoubt.model.ids import UserId
from redoubt.model.register import Role
from tests.center.conftest import ACME, Client, Clock, Connect, add_session, add_user

PASSWORD = "seven quiet transformers"
PAGE = {"Accept": "text/html"}


def field(page: httpx.Response, name: str = "csrf_token") -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert match, page.text
    return match[1]


async def become_admin(center: Center, client: Client) -> httpx.Response:
    await client.get(make_link(center.records, ACME, center.clock()))
    page = await client.get("/setup")
    form = {"email": "anna@example.org", "name": "Anna", "csrf_token": field(page)}
    return await client.post(
        "/setup", data={**form, "password": PASSWORD, "password_again": PASSWORD}
    )


async def sign_in(client: Client, password: str, email: str = "anna@example.org") -> httpx.Response:
    page = await client.get("/sign-in?next=/findings")
    form = {"csrf_token": field(page), "next": field(page, "next")}
    return await client.post("/sign-in", data={**form, "email": email, "password": password})


async def test_the_first_admin_comes_in_by_a_link_and_later_by_password(
    center: Center, connect: Connect
) -> None:
    client = connect()
    made = await become_admin(center, client)
    assert (made.status_code, made.headers["location"]) == (303, "/")
    assert (await client.get("/account", headers=PAGE)).status_code == 200
    (anna,) = center.records.people.list(ACME)
    assert (anna.email, anna.role) == ("anna@example.org", Role.ADMIN)

    other = connect()
    answer = await sign_in(other, PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/findings")
    page = await other.get("/account", headers=PAGE)
    form = {"csrf_token": field(page)}
    assert (await other.post("/sign-out", data=form)).status_code == 303
    assert (await other.get("/account", headers=PAGE)).status_code == 303
    assert (await client.get("/account", headers=PAGE)).status_code == 200


async def test_a_link_works_once_within_15_minutes(
    center: Center, connect: Connect, clock: Clock
) -> None:
    path = make_link(center.records, ACME, clock())
    first = await connect().get(path)
    assert (first.status_code, first.headers["location"]) == (303, "/setup")
    again = await connect().get(path, headers=PAGE)
    assert again.status_code == 404
    assert "redoubt center link" in again.text
    late = make_link(center.records, ACME, clock())
    clock.move(minutes=15)
    assert (await connect().get(late)).status_code == 404
    assert (await connect().get("/link/guess")).status_code == 404


async def test_a_head_request_does_not_use_a_link_up(center: Center, connect: Connect) -> None:
    path = make_link(center.records, ACME, center.clock())
    assert (await connect().head(path)).status_code == 405
    assert (await connect().get(path)).status_code == 303


async def test_the_demos_link_signs_straight_in(center: Center, connect: Connect) -> None:
    user = add_user(center, "demo")
    path = make_link(center.records, ACME, center.clock(), purpose=LinkPurpose.SIGN_IN, user=user)
    client = connect()
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await client.get("/account", headers=PAGE)).status_code == 200


async def test_two_forms_of_one_link_make_one_admin(center: Center, connect: Connect) -> None:
    client = connect()
    await client.get(make_link(center.records, ACME, center.clock()))
    token = field(await client.get("/setup"))
    form = {"name": "A", "csrf_token": token, "password": PASSWORD, "password_again": PASSWORD}
    answers = await asyncio.gather(
        *(client.post("/setup", data={**form, "email": f"a{i}@example.org"}) for i in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404]
    assert len(center.records.people.list(ACME)) == 1


async def test_a_link_for_a_user_sets_a_new_password_and_ends_their_sessions(
    center: Center, connect: Connect
) -> None:
    client = connect()
    await become_admin(center, client)
    (anna,) = center.records.people.list(ACME)
    other = connect()
    await other.get(make_link(center.records, ACME, center.clock(), user=anna.id))
    page = await other.get("/setup")
    assert "anna@example.org" in page.text
    form = {"csrf_token": field(page), "password": PASSWORD + "!", "password_again": PASSWORD + "!"}
    assert (await other.post("/setup", data=form)).status_code == 303
    assert (await client.get("/account", headers=PAGE)).status_code == 303
    assert (await sign_in(connect(), PASSWORD)).status_code == 401
    assert (await sign_in(connect(), PASSWORD + "!")).status_code == 303
    assert (await other.post("/setup", data=form)).status_code in (403, 404)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "short", "password_again": "short"}, "at least 12"),
        ({"password_again": "another long password"}, "differ"),
        ({"email": "anna"}, "e-mail"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_is_wrong_in_the_setup_is_said_and_can_be_mended(
    center: Center, connect: Connect, change: dict[str, str], words: str
) -> None:
    client = connect()
    await client.get(make_link(center.records, ACME, center.clock()))
    token = field(await client.get("/setup"))
    form = {
        "csrf_token": token,
        "email": "anna@example.org",
        "name": "Anna",
        "password": PASSWORD,
        "password_again": PASSWORD,
    }
    wrong = await client.post("/setup", data={**form, **change})
    assert wrong.status_code == 400
    assert words in wrong.text
    assert "short" not in wrong.text
    assert (await client.post("/setup", data=form)).status_code == 303


async def test_a_wrong_password_and_an_unknown_name_look_the_same(
    center: Center, connect: Connect
) -> None:
    await become_admin(center, connect())
    wrong = await sign_in(connect(), "not the password")
    unknown = await sign_in(connect(), PASSWORD, "nobody@example.org")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "do not belong together" in wrong.text
    without_form = [re.sub(r'value="[^"]*"', "", page.text) for page in (wrong, unknown)]
    assert without_form[0] == without_form[1]


async def test_guessing_is_slowed_down_and_the_right_one_waits_too(
    center: Center, connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await become_admin(center, connect())
    monkeypatch.setattr(
        "redoubt.center.sign_in.is_password", lambda _hash, given: given == PASSWORD
    )
    attacker = connect(peer="10.1.2.3")
    codes = [(await sign_in(attacker, f"guess {number}")).status_code for number in range(11)]
    assert codes == [401] * 10 + [429]
    refused = await sign_in(attacker, PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await sign_in(connect(peer="10.9.9.9"), PASSWORD)).status_code == 303
    clock.move(seconds=31)
    assert (await sign_in(attacker, PASSWORD)).status_code == 303


async def test_a_sign_in_that_another_page_sent_is_refused(
    center: Center, connect: Connect
) -> None:
    await become_admin(center, connect())
    form = {"email": "anna@example.org", "password": PASSWORD}
    assert (await connect().post("/sign-in", data=form)).status_code == 403
    client = connect()
    await client.get("/sign-in")
    wrong = {**form, "csrf_token": "0" * 64}
    assert (await client.post("/sign-in", data=wrong)).status_code == 403


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "evil"])
async def test_signing_in_never_leads_elsewhere(
    center: Center, connect: Connect, target: str
) -> None:
    client = connect(session=add_session(center, add_user(center, "anna")))
    answer = await client.get("/sign-in", params={"next": target})
    assert answer.headers["location"] == "/"


async def test_a_session_ends_when_idle_and_after_a_week(
    center: Center, connect: Connect, clock: Clock
) -> None:
    user = add_user(center, "anna")
    client = connect(session=add_session(center, user))
    for _ in range(13):
        clock.move(hours=11)
        assert (await client.get("/account", headers=PAGE)).status_code == 200
    clock.move(hours=13)
    assert (await client.get("/account", headers=PAGE)).status_code == 303
    client = connect(session=add_session(center, user))
    codes = []
    for _ in range(17):
        clock.move(hours=10)
        codes.append((await client.get("/account", headers=PAGE)).status_code)
    assert codes == [200] * 16 + [303]


async def test_a_password_is_changed_with_the_old_one(center: Center, connect: Connect) -> None:
    client, elsewhere = connect(), connect()
    await become_admin(center, client)
    await sign_in(elsewhere, PASSWORD)
    token = field(await client.get("/account", headers=PAGE))
    new = "nine loud transformers"
    form = {"csrf_token": token, "password": new, "password_again": new}
    wrong = await client.post("/account", data={**form, "old_password": "guess"})
    assert wrong.status_code == 401
    changed = await client.post("/account", data={**form, "old_password": PASSWORD})
    assert changed.status_code == 303
    assert (await client.get("/account", headers=PAGE)).status_code == 200
    assert (await elsewhere.get("/account", headers=PAGE)).status_code == 303
    assert (await sign_in(connect(), new)).status_code == 303


async def test_a_hash_of_weaker_days_is_renewed_at_the_next_sign_in(
    center: Center, connect: Connect
) -> None:
    user = add_user(center, "anna")
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    center.records.people.set_password(ACME, user, weak, end_sessions=True)
    assert (await sign_in(connect(), PASSWORD)).status_code == 303
    found = center.records.people.credentials("anna@example.org")
    assert found is not None
    assert not passwords.needs_rehash(found[2])
    assert (await sign_in(connect(), PASSWORD)).status_code == 303


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(
    center: Center, connect: Connect
) -> None:
    made = await become_admin(center, connect())
    cookies = made.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith(session_cookie(center) + "=")]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in session.split(";")}
    secret = session.partition("=")[2].partition(";")[0]
    stored = center.folder.records.read_bytes()
    assert secret.encode() not in stored


class TestBehindTls:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(public_url="https://mine.example", agent_listen="127.0.0.1:0")

    async def test_cookies_travel_by_tls_alone(self, center: Center, connect: Connect) -> None:
        client = connect()
        page = await client.get("/sign-in")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-redoubt_form_")
        assert "Secure" in cookie
        assert "max-age=31536000" in page.headers["strict-transport-security"]

    async def test_the_proxy_says_who_guesses(
        self, center: Center, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("redoubt.center.sign_in.is_password", lambda *_given: False)
        client = connect()
        client.base_url = httpx.URL("https://mine.example")
        client.headers["X-Forwarded-For"] = "spoofed, 10.1.2.3"
        for _ in range(10):
            assert (await sign_in(client, "guess")).status_code == 401
        assert (await sign_in(client, "guess")).status_code == 429
        client.headers["X-Forwarded-For"] = "spoofed, 10.9.9.9"
        assert (await sign_in(client, "guess")).status_code == 401


async def test_a_user_of_no_organisation_more_is_out_at_once(
    center: Center, connect: Connect
) -> None:
    add_user(center, "bo")
    user = add_user(center, "anna")
    client = connect(session=add_session(center, user))
    assert (await client.get("/account", headers=PAGE)).status_code == 200
    center.records.people.disable(ACME, UserId(user), center.clock())
    assert (await client.get("/account", headers=PAGE)).status_code == 303


async def test_a_link_is_shown_by_its_path_alone(center: Center) -> None:
    path = urlsplit(make_link(center.records, ACME, center.clock())).path
    assert re.fullmatch(r"/link/[\w-]{43}", path)
    assert path.removeprefix("/link/").encode() not in center.folder.records.read_bytes()
