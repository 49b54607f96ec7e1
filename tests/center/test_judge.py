"""The center says what only it can know, once, and goes on with it after a restart."""

from __future__ import annotations

from datetime import timedelta

import pytest

from redoubt.center.agent_port import Contacts
from redoubt.center.context import Center
from redoubt.center.judge import GRACE, CenterJudge
from redoubt.center.run import shelves_of
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.findings import FindingFilter
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.finding import FindingChange, FindingEvent
from redoubt.model.ids import SiteId
from tests.center.conftest import ACME, NOW, ZETA, Clock

SITE = SiteId("bunker")
IDENTITY = AgentIdentity(ACME, SITE, "agent-1")
DARK = FindingFilter(rule="dark_site", is_open=None)


@pytest.fixture
def contacts(center: Center) -> Contacts:
    agent = Agent(
        organisation=ACME,
        site=SITE,
        agent="agent-1",
        key_fingerprint="k",
        certificate_serial="1",
        enrolled_at=NOW,
        renewed_at=NOW,
        expires_at=NOW + timedelta(days=7),
    )
    center.records.agents.add(agent)
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
