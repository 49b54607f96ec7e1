"""What admins do by the API, and what it leaves behind in the log."""

from __future__ import annotations

import pytest

from redoubt.access.principal import Scope
from redoubt.access.secret import parse_api_token
from redoubt.center.context import Center
from redoubt.edge.enrolment import parse_enrolment_token
from redoubt.edge.keys import fingerprint
from redoubt.model.ids import SiteId
from redoubt.model.register import Role, Site
from tests.center.conftest import ACME, Client, Connect, add_session, add_token, add_user


@pytest.fixture
def admin(center: Center, connect: Connect) -> Client:
    return connect(session=add_session(center, add_user(center, "anna")))


async def test_an_admin_lets_somebody_in_changes_their_role_and_shuts_them_out(
    center: Center, connect: Connect, admin: Client
) -> None:
    body = {"email": "Bo@example.org", "name": "Bo", "role": "viewer"}
    made = (await admin.post("/api/v1/users", json=body)).json()
    newcomer = connect()
    assert (await newcomer.get(made["path"])).headers["location"] == "/setup"
    assert "bo@example.org" in (await newcomer.get("/setup")).text
    user = made["user"]
    changed = await admin.patch(f"/api/v1/users/{user}", json={"role": "operator"})
    assert changed.json()["role"] == "operator"
    assert (await admin.post(f"/api/v1/users/{user}/link")).json()["path"].startswith("/link/")
    assert (await admin.delete(f"/api/v1/users/{user}")).status_code == 204
    people = {one["email"]: one for one in (await admin.get("/api/v1/users")).json()}
    assert people["bo@example.org"]["disabled_at"] is not None
    assert "password" not in str(people["bo@example.org"]).replace("has_password", "")
    log = (await admin.get("/api/v1/audit")).json()
    actions = [entry["action"] for entry in log]
    assert actions == ["user.disable", "user.link", "user.role", "user.add"]
    assert {entry["who"] for entry in log} == {"user:u-anna"}


async def test_the_last_admin_stays(admin: Client) -> None:
    answer = await admin.patch("/api/v1/users/u-anna", json={"role": "viewer"})
    assert (answer.status_code, "last admin" in answer.json()["error"]) == (400, True)


async def test_an_email_address_is_used_once(admin: Client) -> None:
    body = {"email": "anna@example.org", "name": "Other", "role": "viewer"}
    assert (await admin.post("/api/v1/users", json=body)).status_code == 400


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(
    center: Center, connect: Connect, admin: Client
) -> None:
    body = {"name": "grafana", "scopes": ["read", "metrics"], "days": 7}
    made = (await admin.post("/api/v1/tokens", json=body)).json()
    secret = parse_api_token(made["token"])
    assert secret is not None
    assert secret.encode() not in center.folder.records.read_bytes()
    client = connect(token=made["token"])
    assert (await client.get("/api/v1/register")).status_code == 200
    listed = await admin.get("/api/v1/tokens")
    assert secret not in listed.text
    assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
    assert (await client.get("/api/v1/register")).status_code == 401
    assert (await admin.delete("/api/v1/tokens/t-none")).status_code == 404


@pytest.mark.parametrize(
    "change", [{"scopes": ["root"]}, {"scopes": []}, {"days": 0}, {"days": 9999}, {"name": ""}]
)
async def test_a_token_that_says_nonsense_is_refused(
    admin: Client, change: dict[str, object]
) -> None:
    body = {"name": "x", "scopes": ["read"], "days": 1}
    assert (await admin.post("/api/v1/tokens", json=body | change)).status_code == 400


async def test_tokens_make_no_tokens(center: Center, connect: Connect) -> None:
    client = connect(token=add_token(center))
    answer = await client.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]})
    assert answer.status_code == 403


async def test_the_tokens_of_who_is_shut_out_end(
    center: Center, connect: Connect, admin: Client
) -> None:
    other = connect(session=add_session(center, add_user(center, "bo")))
    made = (await other.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]})).json()
    await admin.delete("/api/v1/users/u-bo")
    assert (await connect(token=made["token"]).get("/api/v1/register")).status_code == 401


async def test_an_operator_acknowledges_and_no_more(center: Center, connect: Connect) -> None:
    user = add_user(center, "olga", Role.OPERATOR)
    client = connect(session=add_session(center, user))
    for path in ("users", "tokens", "agents", "audit"):
        assert (await client.get(f"/api/v1/{path}")).status_code == 403
    client = connect(token=add_token(center, frozenset({Scope.FINDINGS_ACK})))
    assert (await client.get("/api/v1/users")).status_code == 403


async def test_an_enrolment_token_is_for_a_registered_site(center: Center, admin: Client) -> None:
    assert (await admin.post("/api/v1/sites/bunker/enrolment-token")).status_code == 404
    register = center.records.register.load(ACME)
    site = Site(id=SiteId("bunker"), name="Bunker")
    center.records.register.save(
        type(register)(organisation=ACME, version=0, sites=(site,)), "console", center.clock()
    )
    made = (await admin.post("/api/v1/sites/bunker/enrolment-token")).json()
    token = parse_enrolment_token(made["token"])
    assert token.fingerprint == fingerprint(center.authority.certificate)


async def test_the_log_is_read_by_pages(admin: Client) -> None:
    for _ in range(3):
        await admin.post("/api/v1/users/u-anna/link")
    assert len((await admin.get("/api/v1/audit?limit=2")).json()) == 2
    assert (await admin.get("/api/v1/audit?limit=9999")).status_code == 400
    assert (await admin.get("/api/v1/audit?before=2026-01-01T00:00:00")).status_code == 400
    old = await admin.get("/api/v1/audit", params={"before": "2020-01-01T00:00:00Z"})
    assert old.json() == []


async def test_the_api_describes_itself(admin: Client) -> None:
    document = (await admin.get("/api/v1/openapi/openapi.json")).json()
    for path in ("/api/v1/register/import", "/api/v1/users", "/api/v1/enrol", "/api/v1/overview"):
        for operation in document["paths"][path].values():
            assert operation["description"], path
