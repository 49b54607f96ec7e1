"""A fan that stands still while the machine hashes, or fans that the machine no longer lists."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.status import Fan, MachineState
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound, hardware_of
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`min_rpm`: a fan slower than this stands still; coasting rotors report a few hundred."""

    min_rpm: int = 300


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None or not status.fans:
        return UNJUDGED
    if status.state not in (MachineState.HASHING, MachineState.DEGRADED):
        return UNJUDGED
    known = [fan for fan in status.fans if fan.rpm is not None]
    still = [fan for fan in known if fan.rpm is not None and fan.rpm < limits.min_rpm]
    hardware = hardware_of(status)
    built_with = len(status.fans) if hardware is None else hardware.fans or len(status.fans)
    missing = max(0, built_with - len(status.fans))
    if not still and not missing:
        return None if known else UNJUDGED
    if still and len(still) == len(known) and not missing:
        # All at 0 while it hashes is liquid cooling or a lie, not fans lost: `implausible_claim`.
        return None
    turning = len(known) - len(still)
    fact = machine_fact(
        machine,
        f"{turning} of {built_with} fans turn",
        fans_turning=turning,
        fans_expected=built_with,
        **{f"fan_{fan.index}_rpm": fan.rpm for fan in known},
    )
    return Trouble(Severity.HIGH, _title(still, missing, built_with), "fan_lost", (fact,))


def _title(still: list[Fan], missing: int, built_with: int) -> str:
    if not still:
        return f"{missing} of {built_with} fans are not listed"
    if len(still) == 1:
        return f"Fan {still[0].index} of {built_with} stands still"
    names = ", ".join(str(fan.index) for fan in still)
    return f"Fans {names} of {built_with} stand still"


RULE = MachineRule(
    name="fan_lost",
    about="A fan stands still while the machine hashes, or the machine lists fewer than it has.",
    gives="how many fans turn, how many the model has, and each fan's speed",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
)
