"""What only the center can see: dark sites, conflicts, its disk, certificates, revoked agents."""

from __future__ import annotations

from typing import Any

import pytest

from redoubt.model.finding import Observation, Severity
from redoubt.model.ids import OrganisationId
from redoubt.reconcile import (
    AgentSeen,
    BatchAside,
    BatchConflict,
    CenterView,
    DiskView,
    center_rules,
    judge_center,
)
from tests.reconcile.scenes import NOW, SITE, seconds

ACME = OrganisationId("acme")


def seen_agent(**changes: Any) -> AgentSeen:
    values: dict[str, Any] = {
        "agent": "agent-1",
        "site": SITE,
        "enrolled_at": NOW - seconds(86_400),
        "last_contact_at": NOW,
        "certificate_expires_at": NOW + seconds(5 * 86_400),
    }
    return AgentSeen(**(values | changes))


def judged(rule: str, **view: Any) -> list[Observation]:
    judgement = judge_center(CenterView(organisation=ACME, **view), NOW)
    return [one for one in judgement.observations if one.rule == rule]


def test_a_healthy_center_has_no_findings() -> None:
    view = CenterView(organisation=ACME, agents=(seen_agent(),), disk=DiskView(50, 100))
    assert judge_center(view, NOW).observations == ()


class TestDarkSite:
    @pytest.mark.parametrize(("silent_s", "fires"), [(90, False), (91, True)])
    def test_it_is_dark_after_ninety_seconds(self, silent_s: int, fires: bool) -> None:
        last = NOW - seconds(silent_s)
        seen = judged("dark_site", agents=(seen_agent(last_contact_at=last),))
        assert [str(one.subject) for one in seen] == (["site:bunker"] if fires else [])
        assert all(one.since == last for one in seen)

    def test_a_new_agent_has_a_quarter_of_an_hour_to_come(self) -> None:
        young = seen_agent(last_contact_at=None, enrolled_at=NOW - seconds(900))
        assert judged("dark_site", agents=(young,)) == []
        late = seen_agent(last_contact_at=None, enrolled_at=NOW - seconds(901))
        (seen,) = judged("dark_site", agents=(late,))
        assert (seen.cause, seen.severity) == ("never_came", Severity.MEDIUM)

    def test_a_replaced_agent_does_not_darken_the_site(self) -> None:
        old = seen_agent(agent="old", last_contact_at=NOW - seconds(9000))
        assert judged("dark_site", agents=(old, seen_agent())) == []

    def test_a_revoked_agent_is_not_waited_for(self) -> None:
        gone = seen_agent(last_contact_at=None, revoked_at=NOW)
        assert judged("dark_site", agents=(gone,)) == []


class TestConflict:
    def test_it_is_told_per_agent_with_the_last_key(self) -> None:
        conflicts = tuple(
            BatchConflict(agent="agent-1", epoch="e1", seq=seq, at=NOW - seconds(100 - seq))
            for seq in (3, 9, 5)
        )
        (seen,) = judged("batch_conflict", conflicts=conflicts)
        assert str(seen.subject) == "agent:agent-1"
        assert seen.title == "3 batches came again with a different body"
        assert seen.evidence[0].values == {"epoch": "e1", "seq": 9, "conflicts": 3}

    def test_an_old_one_is_history(self) -> None:
        old = BatchConflict(agent="agent-1", epoch="e1", seq=3, at=NOW - seconds(8 * 86_400))
        assert judged("batch_conflict", conflicts=(old,)) == []


class TestCertificate:
    @pytest.mark.parametrize(
        ("left_s", "cause"),
        [(2 * 86_400 + 1, None), (2 * 86_400, "expiring"), (1, "expiring"), (0, "expired")],
    )
    def test_two_days_before_its_end(self, left_s: int, cause: str | None) -> None:
        agent = seen_agent(certificate_expires_at=NOW + seconds(left_s))
        seen = judged("agent_certificate", agents=(agent,))
        assert [one.cause for one in seen] == ([cause] if cause else [])


class TestRevoked:
    def test_a_revoked_agent_that_knocks(self) -> None:
        agent = seen_agent(
            revoked_at=NOW - seconds(60), knocked_at=NOW, knock_address="203.0.113.9"
        )
        (seen,) = judged("revoked_agent", agents=(agent,))
        assert seen.title == "Revoked agent knocks from 203.0.113.9"

    def test_one_that_stays_away(self) -> None:
        assert judged("revoked_agent", agents=(seen_agent(revoked_at=NOW),)) == []

    def test_its_last_word_before_it_was_revoked_is_no_knock(self) -> None:
        agent = seen_agent(revoked_at=NOW, knocked_at=NOW - seconds(1))
        assert judged("revoked_agent", agents=(agent,)) == []


def test_a_full_disk_of_the_center_is_critical() -> None:
    (seen,) = judged("center_disk_low", disk=DiskView(1024**3, 100 * 1024**3))
    assert seen.severity is Severity.CRITICAL
    assert str(seen.subject) == "center:disk"


def test_another_organisation_is_not_told_of_the_disk() -> None:
    assert judged("center_disk_low", disk=None) == []


def test_batches_that_cannot_be_used_are_told_with_the_last_reason() -> None:
    asides = (
        BatchAside(agent="agent-1", at=NOW - seconds(60), why="cannot be read"),
        BatchAside(agent="agent-1", at=NOW, why="3 rows of an impossible time"),
        BatchAside(agent="agent-1", at=NOW - seconds(86_401), why="long ago"),
    )
    (seen,) = judged("batch_unusable", asides=asides)
    assert seen.title == "2 batches could not be used: 3 rows of an impossible time"
    assert seen.since == NOW - seconds(60)


def test_the_centers_rules_are_known_by_name() -> None:
    names = center_rules()
    assert {"dark_site", "revoked_agent", "center_disk_low"} <= names
    assert "fan_lost" not in names
