"""What a site may say: findings by its own rules, at times that can be, as many as it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from redoubt.center.unpack import unpack_details, unpack_findings
from redoubt.edge.batches import BatchKind, MachineDetail, encode_details, encode_findings
from redoubt.edge.inbox import InboxBatch
from redoubt.model.errors import RemoteProtocolError
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
from redoubt.model.status import MachineFault, MachineStatus, Source

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
YEAR_ONE = datetime.fromisoformat("0001-01-01T00:00:00+14:00")
IMPOSSIBLE = [YEAR_ONE, datetime(2008, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]
FINDING = Finding(
    rule="fan_lost",
    subject=Subject(SubjectKind.SITE, "fort"),
    severity=Severity.CRITICAL,
    title="Fan is lost",
    cause="silent",
    evidence=(),
    confidence=1.0,
    began_at=NOW,
    opened_at=NOW,
    seen_at=NOW,
    resolved_at=NOW,
)


def batch(kind: BatchKind, body: bytes, rows: int = 1) -> InboxBatch:
    return InboxBatch(
        id=1,
        organisation=OrganisationId("acme"),
        site=SiteId("fort"),
        agent="agent-1",
        epoch="e",
        seq=1,
        kind=kind,
        rows=rows,
        received_at=NOW,
        body=body,
    )


def events_of(rows: int = 1, **changes: Any) -> list[FindingEvent]:
    """What becomes of a batch in which a site resolves a finding."""
    event = FindingEvent(FindingChange.RESOLVED, msgspec.structs.replace(FINDING, **changes))
    return unpack_findings(batch(BatchKind.FINDINGS, encode_findings([event]), rows))


def detail_of(**changes: Any) -> MachineDetail:
    status = msgspec.structs.replace(MachineStatus(address="10.0.0.1", at=NOW), **changes)
    body = encode_details([MachineDetail(machine=MachineId("m-1"), status=status)])
    (detail,) = unpack_details(batch(BatchKind.DETAILS, body))
    return detail


@pytest.mark.parametrize("rule", ["fan_lost", "rule_of_a_newer_agent"])
def test_a_site_speaks_by_its_own_rules_also_those_this_center_does_not_know(rule: str) -> None:
    assert len(events_of(rule=rule)) == 1


def test_a_site_cannot_resolve_that_it_is_dark() -> None:
    with pytest.raises(RemoteProtocolError, match="the center's rule dark_site"):
        events_of(rule="dark_site")


def test_trouble_may_have_begun_years_ago() -> None:
    assert events_of(began_at=NOW - timedelta(days=3000))


@pytest.mark.parametrize("at", [*IMPOSSIBLE, NOW.replace(tzinfo=None)])
@pytest.mark.parametrize("field", ["began_at", "opened_at", "seen_at", "resolved_at", "evidence"])
def test_a_finding_of_a_time_that_cannot_be_is_refused(field: str, at: datetime) -> None:
    value: Any = (Evidence("machine", at, "hot"),) if field == "evidence" else at
    with pytest.raises(RemoteProtocolError):
        events_of(**{field: value})


@pytest.mark.parametrize("at", [*IMPOSSIBLE, NOW - timedelta(days=91), NOW.replace(tzinfo=None)])
def test_a_detail_of_a_time_that_cannot_be_is_refused(at: datetime) -> None:
    with pytest.raises(RemoteProtocolError):
        detail_of(at=at)


@pytest.mark.parametrize("at", [YEAR_ONE, datetime(9999, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)])  # noqa: DTZ001 - the point
def test_a_machines_impossible_clock_costs_only_that_figure(at: datetime) -> None:
    detail = detail_of(
        clock_at=at,
        errors=(MachineFault("1", "hot", at), MachineFault("2", "cold", NOW)),
        sources={"power_w": Source("summary", at), "model": Source("version", NOW)},
    )
    status = detail.status
    assert status.clock_at is None
    assert [error.at for error in status.errors] == [None, NOW]
    assert [source.at for source in status.sources.values()] == [None, NOW]
    assert detail_of(clock_at=datetime(1970, 1, 1, tzinfo=UTC)).status.clock_at is not None


def test_a_batch_that_holds_more_than_it_says_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="expected 2 rows, got 1"):
        events_of(rows=2)
