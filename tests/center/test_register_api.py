"""The register by the API: out as it is, in as one change, every problem told, nobody else's."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.access.principal import Scope
from redoubt.center.context import Center
from redoubt.edge.records.agents import Agent
from redoubt.model.ids import SiteId
from redoubt.model.register import Register
from redoubt.model.register.columns import TABLES
from redoubt.model.register.csv_form import write_csv
from redoubt.model.register.snapshot import open_snapshot
from redoubt.model.register.toml_form import write_toml
from tests.center.conftest import ACME, NOW, ZETA, Connect, add_token
from tests.model.register.registers import SMALL

TOML = [{"name": "register.toml", "text": write_toml(SMALL)}]
CSV = [{"name": f"{table.name}.csv", "text": write_csv(SMALL, table)} for table in TABLES]


@pytest.mark.parametrize("files", [TOML, CSV])
async def test_a_register_goes_in_and_comes_out_the_same(
    center: Center, connect: Connect, files: list[dict[str, str]]
) -> None:
    client = connect(token=add_token(center))
    preview = (await client.post("/api/v1/register/preview", json={"files": files})).json()
    assert (preview["version"], preview["problems"]) == (0, [])
    assert {change["table"] for change in preview["changes"]} == {table.name for table in TABLES}
    done = await client.post("/api/v1/register/import", json={"files": files, "version": 0})
    assert (done.status_code, done.json()["version"]) == (200, 1)
    out = await client.get("/api/v1/register")
    register = msgspec.json.decode(out.content, type=Register)
    assert register == msgspec.structs.replace(SMALL, version=1)
    machines = await client.get("/api/v1/register/export/machines.csv")
    assert machines.text == CSV[-1]["text"]
    assert machines.headers["content-type"] == "text/csv; charset=utf-8"
    text = (await client.get("/api/v1/register/export/register.toml")).text
    assert text.partition("\n")[2] == TOML[0]["text"].partition("\n")[2]
    assert (await client.get("/api/v1/register/export/users.csv")).status_code == 404
    again = await client.post("/api/v1/register/import", json={"files": files})
    assert (again.json()["version"], again.json()["changes"]) == (1, [])
    (entry,) = center.records.audit.list(ACME)
    assert (entry.action, entry.object) == ("register.import", "register:1")


async def test_with_one_bad_row_nothing_goes_in(center: Center, connect: Connect) -> None:
    client = connect(token=add_token(center))
    bad = {"name": "owners.csv", "text": "id,name\no1,Anna\no 2,\n"}
    answer = await client.post("/api/v1/register/import", json={"files": [*TOML[:0], bad]})
    assert answer.status_code == 422
    assert [(one["line"], one["column"]) for one in answer.json()["problems"]] == [
        (3, "id"),
        (3, "name"),
    ]
    assert center.records.register.load(ACME).version == 0


async def test_a_site_that_goes_while_its_agent_may_still_come_in_is_told(
    center: Center, connect: Connect
) -> None:
    client = connect(token=add_token(center))
    await client.post("/api/v1/register/import", json={"files": TOML})
    for name, revoked_at in (("hall-1", None), ("hall-2", NOW), ("bunker-1", None)):
        agent = Agent(
            organisation=ACME,
            site=SiteId(name.partition("-")[0]),
            agent=name,
            key_fingerprint=name,
            certificate_serial="1",
            enrolled_at=NOW,
            renewed_at=NOW,
            expires_at=NOW,
            revoked_at=revoked_at,
        )
        center.records.agents.add(agent)
    left = msgspec.structs.replace(SMALL, sites=SMALL.sites[:1], machines=SMALL.machines[:1])
    files = [{"name": "register.toml", "text": write_toml(left)}]
    told = [
        "site hall is removed, and its agent hall-1 may still come in: "
        "revoke it if the site is gone"
    ]
    preview = await client.post("/api/v1/register/preview", json={"files": files})
    assert (preview.status_code, preview.json()["warnings"]) == (200, told)
    done = await client.post("/api/v1/register/import", json={"files": files})
    assert (done.status_code, done.json()["warnings"]) == (200, told)
    again = await client.post("/api/v1/register/preview", json={"files": files})
    assert again.json()["warnings"] == []


async def test_an_import_made_from_an_old_preview_is_refused(
    center: Center, connect: Connect
) -> None:
    client = connect(token=add_token(center))
    body = {"files": TOML, "version": 0}
    await client.post("/api/v1/register/import", json=body)
    late = await client.post("/api/v1/register/import", json=body)
    assert late.status_code == 400
    assert "preview" in late.json()["error"]


async def test_whoever_may_read_may_not_import(center: Center, connect: Connect) -> None:
    client = connect(token=add_token(center, frozenset({Scope.READ})))
    for path in ("preview", "import"):
        answer = await client.post(f"/api/v1/register/{path}", json={"files": TOML})
        assert answer.status_code == 403


async def test_an_import_wakes_the_sites_that_wait(center: Center, connect: Connect) -> None:
    client = connect(token=add_token(center))
    await client.post("/api/v1/register/import", json={"files": TOML})
    wait = center.registers.snapshot_after
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait(ACME, SiteId("bunker"), 1, 5.0))
        other = group.create_task(wait(ZETA, SiteId("bunker"), 0, 0.3))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        change = {"name": "owners.csv", "text": "id,name\nanna,Anna B.\n"}
        await client.post("/api/v1/register/import", json={"files": [change]})
    snapshot = waiting.result()
    assert snapshot is not None
    public: Ed25519PublicKey = center.signing_key.public_key()
    opened = open_snapshot(snapshot, public)
    assert (opened.version, opened.owners[0].name) == (2, "Anna B.")
    assert other.result() is None


async def test_a_change_by_another_process_wakes_them_too(center: Center) -> None:
    first = msgspec.structs.replace(SMALL, version=0)
    assert await center.registers.snapshot_after(ACME, SiteId("bunker"), 0, 0.05) is None
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(center.registers.snapshot_after(ACME, SiteId("bunker"), 0, 5.0))
        await asyncio.sleep(0.05)
        center.records.register.save(first, "console", center.clock())
        await center.registers.look()
    assert waiting.result() is not None


async def test_a_site_that_is_not_registered_waits_its_time_out(center: Center) -> None:
    """It would otherwise ask again at once, for ever."""
    center.records.register.save(
        msgspec.structs.replace(SMALL, version=0), "console", center.clock()
    )
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await center.registers.snapshot_after(ACME, SiteId("unknown"), 0, 0.2) is None
    assert loop.time() - began >= 0.15


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["files", "name", "text", "version", "email", "role"])
                      | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
_PATHS = (
    "/api/v1/register/preview",
    "/api/v1/register/import",
    "/api/v1/users",
    "/api/v1/tokens",
    "/api/v1/enrol",
    "/api/v1/enrol/renew",
    "/api/v1/users/u-x/link",
    "/api/v1/sites/bunker/enrolment-token",
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(_PATHS), body=_JSON.map(msgspec.json.encode) | st.binary(max_size=60))
async def test_no_body_breaks_the_api(
    center: Center, connect: Connect, path: str, body: bytes
) -> None:
    client = connect(token=add_token(center))
    answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert answer.json().get("error") or answer.json().get("problems")
