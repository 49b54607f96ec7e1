"""What a site polls in these tests: made from the number of the poll alone, so it can be told
again exactly by whoever checks the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redoubt.edge.batches import MachineDetail
from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import MachineId, RackId
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState, MachineStatus, PowerKind

CADENCE = timedelta(seconds=15)


def begin_of(day: datetime) -> datetime:
    """Return a begin that lies in the hours before `day`, the same for every process of a test."""
    return (day - timedelta(hours=12)).replace(minute=0, second=0, microsecond=0)


def poll(begin: datetime, number: int, machines: int) -> list[Sample]:
    """Return the samples of poll `number`: every seventh machine is offline now and then."""
    at = begin + number * CADENCE
    return [_sample(at, number, machine) for machine in range(machines)]


def detail(begin: datetime, number: int, machine: int) -> MachineDetail:
    at = begin + number * CADENCE
    status = MachineStatus(address=f"10.0.0.{machine}", at=at, family="antminer")
    return MachineDetail(machine=MachineId(f"m-{machine:04d}"), status=status)


def finding(begin: datetime, number: int, machine: int) -> FindingEvent:
    at = begin + number * CADENCE
    return FindingEvent(
        FindingChange.OPENED,
        Finding(
            rule="hot",
            subject=Subject(SubjectKind.MACHINE, f"m-{machine:04d}"),
            severity=Severity.HIGH,
            title=f"poll {number}",
            cause="hot",
            evidence=(Evidence("machine", at, "too hot"),),
            confidence=1.0,
            began_at=at,
            opened_at=at,
            seen_at=at,
        ),
    )


def _sample(at: datetime, number: int, machine: int) -> Sample:
    when = at.astimezone(UTC) + timedelta(milliseconds=machine)
    rack, slot = RackId(f"r{machine // 8}"), f"1-{machine % 8 + 1}"
    name = MachineId(f"m-{machine:04d}")
    if machine % 7 == 3 and number % 11 == 5:
        return Sample(at=when, machine=name, state=MachineState.OFFLINE, rack=rack, slot=slot)
    return Sample(
        at=when,
        machine=name,
        state=MachineState.HASHING,
        power_kind=PowerKind.CLAIMED,
        # Multiples of 2^33 survive the store's shortening, so sums can be compared exactly.
        hashrate_hs=(10_000 + (number * 7 + machine * 13) % 4096) * 2**33,
        power_w=3000.0 + (number + machine) % 50,
        temp_chip_max_c=60.0 + (number * 3 + machine) % 20,
        temp_board_max_c=55.0,
        fan_min_rpm=4000 + number % 7,
        fan_max_rpm=4200,
        uptime_s=1000 + number * 15,
        accepted=number,
        rejected=0,
        stale=0,
        boards_hashing=3,
        chips_hashing=342,
        rack=rack,
        slot=slot,
    )
