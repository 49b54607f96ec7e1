"""Two organisations share a center, and neither finds anything of the other, anywhere."""

from __future__ import annotations

from datetime import timedelta

import httpx
import msgspec
import pyarrow as pa
import pytest
from litestar.handlers import HTTPRouteHandler

from redoubt.center.app import build_app
from redoubt.center.context import Center
from redoubt.center.site_tokens import make_enrolment_token
from redoubt.edge.batches import MachineDetail, decode_samples, encode_samples
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.telemetry import SiteRows
from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Register
from redoubt.model.sample import sample_of
from redoubt.model.status import MachineState, MachineStatus
from tests.center.conftest import ACME, BASE_URL, NOW, ZETA, Connect, add_session, add_user
from tests.model.register.registers import SMALL

SECRET = "zzsecret"
"""Stands in every value that is Zeta's, in names, ids and texts."""


def zetas(register: Register) -> Register:
    """The same register with every text made Zeta's."""
    text = msgspec.json.encode(register).decode()
    for word in ("acme", "bunker", "hall", "m1", "m2", "r1", "b1", "p1", "anna", "Anna", "SN-1"):
        text = text.replace(f'"{word}', f'"{SECRET}-{word}')
    text = text.replace("00:1a:2b", "00:ff:2b").replace("10.0.0.7", "10.99.99.99")
    register = msgspec.json.decode(text, type=Register)
    return msgspec.structs.replace(register, organisation=ZETA, version=0)


async def furnish(center: Center, organisation: OrganisationId, prefix: str) -> dict[str, str]:
    """Give an organisation something of everything; return the ids that addresses take."""
    site, machine = SiteId(f"{prefix}bunker"), MachineId(f"{prefix}m1")
    status = MachineStatus(
        address="10.99.99.99" if prefix else "10.0.0.7",
        at=NOW - timedelta(seconds=5),
        hostname=f"{prefix}rig",
        state=MachineState.HASHING,
        hashrate_hs=1e14,
        power_w=3000.0,
    )
    table: pa.Table = decode_samples(encode_samples([sample_of(machine, status)]))
    center.latest.apply_samples(organisation, site, table, NOW)
    detail = MachineDetail(machine=machine, status=status, replies={"stats": f"{prefix}reply"})
    center.latest.apply_details(organisation, site, [detail])
    center.records.details.upsert(organisation, site, [detail])
    rows = SiteRows(organisation=organisation, site=site, table=table)
    await center.telemetry.insert(f"token-{organisation}", [rows])
    finding = Finding(
        rule="machine_hot",
        subject=Subject(SubjectKind.MACHINE, machine),
        severity=Severity.HIGH,
        title=f"{prefix}Hot",
        cause="hot",
        evidence=(Evidence("machine", NOW, f"{prefix}93 °C"),),
        confidence=1.0,
        began_at=NOW,
        opened_at=NOW,
        seen_at=NOW,
    )
    event = FindingEvent(FindingChange.OPENED, finding)
    (found,) = center.records.findings.apply_events(organisation, site, [event])
    agent = Agent(
        organisation=organisation,
        site=site,
        agent=f"{prefix}agent",
        key_fingerprint=f"{prefix}key",
        certificate_serial="1",
        enrolled_at=NOW,
        renewed_at=NOW,
        expires_at=NOW,
    )
    center.records.agents.add(agent)
    authority = center.authority.certificate
    make_enrolment_token(center.records, authority, organisation, site, f"{prefix}who", NOW)
    entry = AuditEntry(at=NOW, who=f"{prefix}who", action="x", object=f"{prefix}o")
    center.records.audit.add(organisation, entry)
    user = add_user(center, f"{prefix}user", organisation=organisation)
    return {
        "site": site,
        "machine": machine,
        "finding": found,
        "agent": agent.agent,
        "user": user,
        "rack": f"{prefix}r1",
        "token": "t-none",
        "name": "machines.csv",
        "code": "A" * 43,
        "path": "openapi.json",
    }


def addresses(center: Center) -> list[tuple[str, str]]:
    """Every (method, path) that answers whoever is signed in."""
    return sorted(
        {
            (method, route.path_format)
            for route in build_app(center).routes
            for handler in getattr(route, "route_handlers", [])
            if isinstance(handler, HTTPRouteHandler)
            for method in handler.http_methods
            if method not in ("HEAD", "OPTIONS")
            and not route.path_format.startswith(("/static", "/link", "/sign-out"))
        }
    )


def fill(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"say what {path} takes"
    return path


@pytest.fixture
async def ids(center: Center) -> tuple[dict[str, str], dict[str, str]]:
    center.records.register.save(msgspec.structs.replace(SMALL, version=0), "console", NOW)
    center.records.register.save(zetas(SMALL), "console", NOW)
    return await furnish(center, ACME, ""), await furnish(center, ZETA, f"{SECRET}-")


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    """Ask; of a stream that would go on, only what comes before its end."""
    if path.startswith("/live") and SECRET not in path:
        return httpx.Response(404)
    accept = "application/json" if path.startswith("/api") else "text/html"
    json = {"role": "viewer", "files": [], "note": "x"} if method != "GET" else None
    return await client.request(method, f"{BASE_URL}{path}", headers={"Accept": accept}, json=json)


async def test_nothing_of_another_organisation_is_on_any_address(
    center: Center, connect: Connect, ids: tuple[dict[str, str], dict[str, str]]
) -> None:
    mine, _ = ids
    session = add_session(center, add_user(center, "anna"))
    seen = 0
    for method, path in addresses(center):
        if method != "GET":
            continue
        answer = await ask(connect(session=session), method, fill(path, mine))
        assert SECRET not in answer.text, path
        assert "10.99.99.99" not in answer.text, path
        assert answer.status_code < 500, (path, answer.text)
        seen += answer.status_code == 200
    assert seen >= 15


async def test_what_is_anothers_is_not_there_by_its_id(
    center: Center, connect: Connect, ids: tuple[dict[str, str], dict[str, str]]
) -> None:
    _, theirs = ids
    session = add_session(center, add_user(center, "anna"))
    named = [
        (method, path)
        for method, path in addresses(center)
        if any(f"{{{name}}}" in path for name in ("site", "machine", "finding", "agent", "user"))
    ]
    assert len(named) >= 10
    for method, path in named:
        answer = await ask(connect(session=session), method, fill(path, theirs))
        if path.endswith("/series") and answer.status_code == 200:
            # A machine that was never heard of has a series too: nothing, all along.
            measures = answer.json()["columns"].values()
            assert {value for values in measures for value in values} == {None}, path
            continue
        assert answer.status_code in (400, 404), (method, path, answer.status_code, answer.text)
        told = answer.text.replace(theirs["site"], "").replace(theirs["machine"], "")
        for value in (theirs["agent"], theirs["user"]):
            told = told.replace(value, "")
        assert SECRET not in told, path


async def test_nothing_that_was_tried_changed_anything_of_theirs(
    center: Center, connect: Connect, ids: tuple[dict[str, str], dict[str, str]]
) -> None:
    _, theirs = ids
    before = state(center)
    session = add_session(center, add_user(center, "anna"))
    for method, path in addresses(center):
        if method != "GET" and path != "/account":
            await ask(connect(session=session), method, fill(path, theirs))
    assert state(center) == before


def state(center: Center) -> tuple[object, ...]:
    """All that the records hold of Zeta."""
    records = center.records
    return (
        records.register.load(ZETA),
        records.findings.list(ZETA),
        records.people.list(ZETA),
        records.agents.list(ZETA),
        records.tokens.list(ZETA),
        records.audit.list(ZETA),
    )
