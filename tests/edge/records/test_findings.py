"""One row per open period of a rule and subject, however often an event is told."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.edge.records import Records, findings
from redoubt.edge.records.engine import transaction
from redoubt.edge.records.findings import FindingFilter
from redoubt.model.errors import InputError
from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import OrganisationId, SiteId
from tests.edge.records.conftest import ACME, NOW, ZETA

SITE = SiteId("bunker")
ALL = FindingFilter(is_open=None)
_NUMBERS = itertools.count()


def at(minute: float) -> datetime:
    return NOW + timedelta(minutes=minute)


def event(
    change: FindingChange,
    opened: float,
    seen: float,
    *,
    rule: str = "machine_hot",
    machine: str = "m1",
    severity: Severity = Severity.HIGH,
    title: str = "Hot",
) -> FindingEvent:
    finding = Finding(
        rule=rule,
        subject=Subject(SubjectKind.MACHINE, machine),
        severity=severity,
        title=title,
        cause="hot",
        evidence=(Evidence("machine", at(seen), "93 °C", {"temp_chip_max_c": 93.0}),),
        confidence=1.0,
        began_at=at(opened - 1),
        opened_at=at(opened),
        seen_at=at(seen),
        resolved_at=at(seen) if change is FindingChange.RESOLVED else None,
    )
    return FindingEvent(change, finding)


OPENED, UPDATED, RESOLVED = FindingChange


def test_a_finding_lives_and_comes_back_as_a_new_period(records: Records) -> None:
    life = [
        event(OPENED, 0, 0),
        event(UPDATED, 0, 5, title="Hotter"),
        event(RESOLVED, 0, 10),
        event(OPENED, 20, 20),
    ]
    for step in life:
        assert len(records.findings.apply_events(ACME, SITE, [step])) == 1
    page = records.findings.list(ACME, ALL)
    assert page.total == 2
    newest, oldest = page.findings
    assert (newest.finding.opened_at, newest.finding.resolved_at) == (at(20), None)
    assert (oldest.finding.title, oldest.finding.resolved_at) == ("Hot", at(10))
    assert oldest.finding == life[2].finding


def test_what_is_told_twice_changes_nothing(records: Records) -> None:
    life = [event(OPENED, 0, 0), event(RESOLVED, 0, 10), event(OPENED, 20, 20)]
    records.findings.apply_events(ACME, SITE, life)
    before = records.findings.list(ACME, ALL)
    assert records.findings.apply_events(ACME, SITE, life) == ()
    assert records.findings.list(ACME, ALL) == before


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    steps=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=8),
    repeats=st.lists(st.integers(0, 30), max_size=10),
)
def test_any_life_told_with_any_repeats_of_its_past_ends_the_same(
    records: Records, steps: list[tuple[int, bool]], repeats: list[int]
) -> None:
    """Batches come in order, and after a crash an earlier run of them comes once more."""
    life, minute, opened = [], 0, None
    for gap, resolves in steps:
        minute += gap
        if opened is None:
            opened = minute
            life.append(event(OPENED, opened, minute))
        elif resolves:
            life.append(event(RESOLVED, opened, minute))
            opened = None
        else:
            life.append(event(UPDATED, opened, minute))
    number = next(_NUMBERS)
    once, often = OrganisationId(f"once-{number}"), OrganisationId(f"often-{number}")
    records.findings.apply_events(once, SITE, life)
    told: list[FindingEvent] = []
    pending = list(repeats)
    for step in life:
        told.append(step)
        records.findings.apply_events(often, SITE, [step])
        if pending:
            start = pending.pop() % len(told)
            records.findings.apply_events(often, SITE, told[start:])
    expected = [found.finding for found in records.findings.list(once, ALL).findings]
    assert [found.finding for found in records.findings.list(often, ALL).findings] == expected
    assert sum(found.resolved_at is None for found in expected) <= 1


def test_a_site_that_forgot_and_opens_again_goes_on_with_the_same_finding(records: Records) -> None:
    (finding,) = records.findings.apply_events(ACME, SITE, [event(OPENED, 0, 0)])
    records.findings.acknowledge(ACME, finding, "user:u-1", "on it", NOW)
    records.findings.apply_events(ACME, SITE, [event(OPENED, 30, 30), event(RESOLVED, 30, 40)])
    (found,) = records.findings.list(ACME, ALL).findings
    assert (found.id, found.note) == (finding, "on it")
    assert (found.finding.opened_at, found.finding.resolved_at) == (at(0), at(40))


def test_sites_and_organisations_have_findings_of_their_own(records: Records) -> None:
    for organisation, site in ((ACME, "a"), (ACME, "b"), (ZETA, "a")):
        records.findings.apply_events(organisation, SiteId(site), [event(OPENED, 0, 0)])
    assert records.findings.list(ACME).total == 2
    assert records.findings.list(ZETA).total == 1
    (of_zeta,) = records.findings.list(ZETA).findings
    assert records.findings.get(ACME, of_zeta.id) is None
    with pytest.raises(InputError, match="no finding"):
        records.findings.acknowledge(ACME, of_zeta.id, "user:u-1", "", NOW)


def test_people_acknowledge_and_take_it_back(records: Records) -> None:
    (finding,) = records.findings.apply_events(ACME, SITE, [event(OPENED, 0, 0)])
    found = records.findings.acknowledge(ACME, finding, "user:u-1", " fan ordered ", NOW)
    assert (found.acknowledged_by, found.acknowledged_at, found.note) == (
        "user:u-1",
        NOW,
        "fan ordered",
    )
    records.findings.apply_events(ACME, SITE, [event(UPDATED, 0, 5)])
    assert records.findings.list(ACME, FindingFilter(is_acknowledged=True)).total == 1
    assert records.findings.unacknowledge(ACME, finding).acknowledged_at is None
    with pytest.raises(InputError, match="2000"):
        records.findings.acknowledge(ACME, finding, "user:u-1", "x" * 2001, NOW)


def test_lists_are_filtered_and_paged_gravest_first(records: Records) -> None:
    severities = list(Severity)
    for number in range(10):
        told = event(
            OPENED,
            number,
            number,
            machine=f"m{number}",
            severity=severities[number % 5],
            title=f"100% of {number}",
            rule="machine_hot" if number % 2 else "fan_lost",
        )
        records.findings.apply_events(ACME, SITE, [told])
    first = records.findings.list(ACME, limit=3)
    assert first.total == 10
    ranks = [severities.index(found.finding.severity) for found in first.findings]
    assert ranks == [0, 0, 1]
    rest = records.findings.list(ACME, offset=3, limit=100)
    assert len({found.id for found in (*first.findings, *rest.findings)}) == 10
    for matching, count in (
        (FindingFilter(rule="fan_lost"), 5),
        (FindingFilter(severities=(Severity.CRITICAL, Severity.INFO)), 4),
        (FindingFilter(subject=Subject(SubjectKind.MACHINE, "m3")), 1),
        (FindingFilter(text="100% OF 7"), 1),
        (FindingFilter(text="_"), 0),
        (FindingFilter(site=SiteId("elsewhere")), 0),
        (FindingFilter(is_open=False), 0),
        (FindingFilter(cause="hot", is_acknowledged=False), 10),
    ):
        assert records.findings.list(ACME, matching).total == count, matching
    assert records.findings.count_open(ACME)[SITE, Severity.CRITICAL] == 2
    assert len(records.findings.open(ACME, SITE)) == 10


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "no rule"},
        {"cause": "x" * 65},
        {"title": ""},
        {"title": "a\0b"},
        {"subject": Subject(SubjectKind.ADDRESS, "x" * 300)},
        {"seen_at": NOW.replace(tzinfo=None)},
        {"evidence": (Evidence("machine", NOW, "x" * 70_000),)},
        {"evidence": (Evidence("machine", NOW, "x", {"y" * 70_000: 1}),)},
        {"evidence": (Evidence("m", NOW, "x", {str(key): key for key in range(9_000)}),)},
        {"evidence": (Evidence("machine", NOW, ""),) * 2_000},
        {"evidence": (Evidence("machine", NOW.replace(tzinfo=None), "x"),)},
    ],
)
def test_what_no_rule_says_is_refused_whole(records: Records, changes: dict[str, object]) -> None:
    good, told = event(OPENED, 0, 0, machine="m2"), event(OPENED, 0, 0)
    bad = FindingEvent(told.change, msgspec.structs.replace(told.finding, **changes))
    with pytest.raises(InputError):
        records.findings.apply_events(ACME, SITE, [good, bad])
    assert records.findings.list(ACME, ALL).total == 0


def test_many_events_do_not_hold_the_records_lock(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write in between: each transaction takes a part of the events."""
    monkeypatch.setattr(findings, "EVENTS_PER_TRANSACTION", 10)
    begun = 0

    def begin(engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        nonlocal begun
        begun += 1
        return transaction(engine)

    monkeypatch.setattr("redoubt.edge.records.findings.transaction", begin)
    events = [event(OPENED, 0, 0, machine=f"m{number}") for number in range(35)]
    assert len(records.findings.apply_events(ACME, SITE, events)) == 35
    assert begun == 4
    assert records.findings.apply_events(ACME, SITE, events) == ()
