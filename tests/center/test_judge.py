"""The center says what only it can know, once, and goes on with it after a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NoReturn

import pytest

from redoubt.center import judge as judge_module
from redoubt.center import register_feed
from redoubt.center.agent_port import Contacts
from redoubt.center.context import Center
from redoubt.center.judge import GRACE, CenterJudge
from redoubt.center.register_feed import RegisterFeed
from redoubt.center.run import shelves_of
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.findings import FindingFilter
from redoubt.model.errors import RemoteProtocolError, ServiceError
from redoubt.model.finding import FindingChange, FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from tests.center.conftest import ACME, NOW, ZETA, Clock

SITE = SiteId("bunker")
IDENTITY = AgentIdentity(ACME, SITE, "agent-1")
DARK = FindingFilter(rule="dark_site", is_open=None)


def agent_of(organisation: OrganisationId) -> Agent:
    return Agent(
        organisation=organisation,
        site=SITE,
        agent="agent-1",
        key_fingerprint="k",
        certificate_serial="1",
        enrolled_at=NOW,
        renewed_at=NOW,
        expires_at=NOW + timedelta(days=7),
    )


@pytest.fixture
def contacts(center: Center) -> Contacts:
    center.records.agents.add(agent_of(ACME))
    return Contacts(let_in={IDENTITY: NOW})


async def rounds(judge: CenterJudge, clock: Clock, minutes: int) -> None:
    for _ in range(minutes * 2):
        clock.move(seconds=30)
        await judge.judge_once()


async def test_a_site_that_falls_silent_is_dark_until_it_is_heard_again(
    center: Center, contacts: Contacts, clock: Clock
) -> None:
    judge = CenterJudge(center, contacts)
    await rounds(judge, clock, 10)
    (found,) = center.records.findings.list(ACME, DARK).findings
    assert (found.site, found.finding.resolved_at) == (SITE, None)
    assert center.records.findings.list(ZETA, DARK).total == 0
    for _ in range(60):
        contacts.let_in[IDENTITY] = clock()
        await rounds(judge, clock, 1)
    (found,) = center.records.findings.list(ACME, DARK).findings
    assert found.finding.resolved_at is not None


async def test_a_restart_goes_on_with_the_same_finding(
    center: Center, contacts: Contacts, clock: Clock
) -> None:
    await rounds(CenterJudge(center, contacts), clock, 10)
    (before,) = center.records.findings.list(ACME, DARK).findings
    (agent,) = center.records.agents.list(ACME)
    assert agent.last_contact_at == NOW
    again = CenterJudge(center, Contacts())
    await rounds(again, clock, 20)
    (after,) = center.records.findings.list(ACME, DARK).findings
    assert (after.id, after.finding.resolved_at) == (before.id, None)


async def test_a_center_that_was_away_gives_sites_time_to_come_back(
    center: Center, contacts: Contacts, clock: Clock
) -> None:
    clock.move(hours=5)
    judge = CenterJudge(center, contacts)
    clock.move(seconds=GRACE.total_seconds() - 1)
    await judge.judge_once()
    assert center.records.findings.list(ACME, DARK).total == 0


async def test_no_site_speaks_by_the_centers_rules(
    center: Center, contacts: Contacts, clock: Clock
) -> None:
    await rounds(CenterJudge(center, contacts), clock, 10)
    (found,) = center.records.findings.list(ACME, DARK).findings
    event = FindingEvent(FindingChange.RESOLVED, found.finding)
    with pytest.raises(RemoteProtocolError, match="center's alone"):
        shelves_of(center).apply_findings(ACME, SITE, [event])


async def test_records_that_fail_for_one_organisation_keep_no_other_from_being_judged(
    center: Center, contacts: Contacts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was not written down then is written down once the records are well."""
    applied = center.records.findings.apply_events
    center.records.agents.add(agent_of(ZETA))
    contacts.let_in[AgentIdentity(ZETA, SITE, "agent-1")] = NOW

    def busy(*_: object) -> NoReturn:
        raise ServiceError("the records could not be written: database is locked")

    judge = CenterJudge(center, contacts)
    with monkeypatch.context() as broken:
        broken.setattr(
            center.records.findings,
            "apply_events",
            lambda who, *rest: busy() if who == ACME else applied(who, *rest),
        )
        await rounds(judge, clock, 10)
    assert center.records.findings.list(ACME, DARK).total == 0
    assert center.records.findings.list(ZETA, DARK).total == 1
    await rounds(judge, clock, 10)
    assert center.records.findings.list(ACME, DARK).total == 1


async def test_the_judge_goes_on_when_the_records_are_well_again(
    center: Center, contacts: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_module, "EVERY_S", 0.001)
    judge, calls = CenterJudge(center, contacts), 0

    async def judge_once() -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ServiceError("the records could not be read: database is locked")

    monkeypatch.setattr(judge, "judge_once", judge_once)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await judge.run()
    assert calls > 3


async def test_the_register_feed_goes_on_when_the_records_are_well_again(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_feed, "WATCH_S", 0.001)
    feed, calls = RegisterFeed(center.records, center.signing_key, center.clock), 0

    async def look() -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ServiceError("the records could not be read: database is locked")

    monkeypatch.setattr(feed, "look", look)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await feed.watch()
    assert calls > 3
