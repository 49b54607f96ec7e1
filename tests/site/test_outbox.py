"""What waits for the disk: bounded, newest details first, events always."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge.batches import (
    MAX_EVENTS,
    BatchKind,
    MachineDetail,
    decode_details,
    decode_findings,
    decode_samples,
    encode_samples,
)
from redoubt.machines import Failure, Replies, Reply
from redoubt.model.finding import (
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import MachineId
from redoubt.model.sample import Sample, sample_of
from redoubt.model.status import Board, Fan, MachineState, MachineStatus, PoolStatus
from redoubt.site.details import DetailPolicy
from redoubt.site.outbox import MAX_BATCH_ROWS, Outbox

NOW = datetime(2026, 11, 1, tzinfo=UTC)
M1 = MachineId("m1")


def sample(number: int) -> Sample:
    return Sample(at=NOW, machine=MachineId(f"m{number}"), state=MachineState.HASHING)


def status(at: datetime = NOW, state: MachineState = MachineState.HASHING) -> MachineStatus:
    return MachineStatus(address="10.0.0.1", at=at, state=state)


def event() -> FindingEvent:
    finding = Finding(
        rule="machine_hot",
        subject=Subject(SubjectKind.MACHINE, "m1"),
        severity=Severity.HIGH,
        title="Hot",
        cause="hot",
        evidence=(),
        confidence=1.0,
        began_at=NOW,
        opened_at=NOW,
        seen_at=NOW,
    )
    return FindingEvent(FindingChange.OPENED, finding)


def test_everything_comes_out_once() -> None:
    outbox = Outbox()
    outbox.add_sample(sample(1))
    outbox.add_detail(MachineDetail(machine=M1, status=status()))
    outbox.add_events([event()], {"kept": b"1"})
    load = outbox.take(NOW)
    samples, details, findings = load.drafts
    assert decode_samples(samples.body).num_rows == samples.rows == 1
    assert decode_details(details.body)[0].machine == M1
    assert decode_findings(findings.body) == [event()]
    assert load.notes == {"kept": b"1"}
    empty = outbox.take(NOW)
    assert (empty.drafts, empty.notes) == ((), {})


def test_more_events_than_a_batch_may_hold_go_in_several() -> None:
    outbox = Outbox()
    outbox.add_events([event()] * (MAX_EVENTS + 1), {})
    drafts = outbox.take(NOW).drafts
    assert [draft.rows for draft in drafts] == [MAX_EVENTS, 1]
    assert [len(decode_findings(draft.body)) for draft in drafts] == [MAX_EVENTS, 1]


def test_the_oldest_samples_go_when_the_disk_takes_nothing_and_events_never_do() -> None:
    outbox = Outbox(most_waiting=10)
    for number in range(25):
        outbox.add_sample(sample(number))
        outbox.add_events([event()], {})
    samples, findings = outbox.take(NOW).drafts
    machines = decode_samples(samples.body)["machine"].to_pylist()
    assert machines == [f"m{number}" for number in range(15, 25)]
    assert outbox.samples_lost == 15
    assert findings.rows == 25


def test_of_each_machine_the_last_details_wait_with_the_last_replies() -> None:
    outbox = Outbox()
    outbox.add_detail(MachineDetail(machine=M1, status=status(), replies={"stats": "{}"}))
    later = status(NOW + timedelta(minutes=1))
    outbox.add_detail(MachineDetail(machine=M1, status=later))
    (draft,) = outbox.take(NOW).drafts
    (detail,) = decode_details(draft.body)
    assert detail.status == later
    assert detail.replies == {"stats": "{}"}


def test_large_loads_are_cut_into_batches_that_travel() -> None:
    outbox = Outbox()
    for number in range(MAX_BATCH_ROWS + 1):
        outbox.add_sample(sample(number))
    for number in range(200):
        replies = {"stats": "x" * 60_000, "summary": "y" * 60_000}
        machine = MachineId(f"m{number}")
        outbox.add_detail(MachineDetail(machine=machine, status=status(), replies=replies))
    drafts = outbox.take(NOW).drafts
    kinds = [draft.kind for draft in drafts]
    assert [draft.rows for draft in drafts[:2]] == [MAX_BATCH_ROWS, 1]
    assert kinds.count(BatchKind.DETAILS) > 1
    assert sum(draft.rows for draft in drafts[2:]) == 200


def test_details_travel_once_a_minute_and_at_once_on_a_change() -> None:
    policy = DetailPolicy()
    replies: Replies = {
        "stats": Reply(b"{}", NOW),
        "pools": Failure("no_reply", "silent", NOW),
    }
    first = policy.detail(M1, None, status(), replies)
    assert first is not None
    assert first.replies == {"stats": "{}"}
    soon = NOW + timedelta(seconds=15)
    assert policy.detail(M1, None, status(soon), replies) is None
    changed = policy.detail(M1, None, status(soon, MachineState.DEGRADED), replies)
    assert changed is not None
    assert changed.replies
    minute = NOW + timedelta(seconds=75)
    again = policy.detail(M1, None, status(minute, MachineState.DEGRADED), replies)
    assert again is not None
    assert again.replies == {}
    much_later = NOW + timedelta(minutes=11)
    full = policy.detail(M1, None, status(much_later, MachineState.DEGRADED), replies)
    assert full is not None
    assert full.replies


@given(
    hashrate_hs=st.floats(-1e24, 1e24),
    uptime_s=st.integers(-(1 << 62), 1 << 62),
    counts=st.lists(st.integers(-(1 << 62), 1 << 62), max_size=16),
)
def test_no_claim_of_a_machine_breaks_a_batch(
    hashrate_hs: float, uptime_s: int, counts: list[int]
) -> None:
    hostile = MachineStatus(
        address="10.0.0.1",
        at=NOW,
        hashrate_hs=hashrate_hs,
        uptime_s=uptime_s,
        boards=tuple(Board(index, chips=count) for index, count in enumerate(counts)),
        fans=tuple(Fan(index, rpm=count) for index, count in enumerate(counts)),
        pools=tuple(PoolStatus(index, accepted=count) for index, count in enumerate(counts)),
    )
    assert decode_samples(encode_samples([sample_of(M1, hostile)])).num_rows == 1


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\x00" * 100_000, "ü".encode() * 50_000])
def test_a_raw_reply_travels_bounded_whatever_its_bytes(body: bytes) -> None:
    policy = DetailPolicy()
    detail = policy.detail(M1, None, status(), {"stats": Reply(body, NOW)})
    assert detail is not None
    assert len(detail.replies["stats"]) <= 64 * 1024
