"""What a site may say of itself: findings by its own rules, and none by the center's."""

from __future__ import annotations

from datetime import UTC, datetime

from redoubt.center.unpack import Unpacked, unpack
from redoubt.edge.batches import BatchKind, encode_findings
from redoubt.edge.inbox import Group, InboxBatch
from redoubt.model.finding import (
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import OrganisationId, SiteId

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def unpacked(rule: str) -> Unpacked:
    """What becomes of a batch in which a site resolves a finding of `rule`."""
    finding = Finding(
        rule=rule,
        subject=Subject(SubjectKind.SITE, "fort"),
        severity=Severity.CRITICAL,
        title="Site is dark",
        cause="silent",
        evidence=(),
        confidence=1.0,
        began_at=NOW,
        opened_at=NOW,
        seen_at=NOW,
        resolved_at=NOW,
    )
    batch = InboxBatch(
        id=1,
        organisation=OrganisationId("acme"),
        site=SiteId("fort"),
        agent="agent-1",
        epoch="e",
        seq=1,
        kind=BatchKind.FINDINGS,
        rows=1,
        received_at=NOW,
        body=encode_findings([FindingEvent(FindingChange.RESOLVED, finding)]),
    )
    return unpack(Group("t", (batch,)))


def test_a_site_speaks_by_its_own_rules() -> None:
    assert len(unpacked("fan_lost").findings) == 1


def test_a_site_speaks_by_rules_that_this_center_does_not_know_yet() -> None:
    assert len(unpacked("rule_of_a_newer_agent").findings) == 1


def test_a_site_cannot_resolve_that_it_is_dark() -> None:
    found = unpacked("dark_site")
    assert found.findings == []
    assert [why for _, why, _ in found.asides] == [
        "a site cannot speak by the center's rule dark_site"
    ]
