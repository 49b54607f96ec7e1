"""A machine whose own clock is wrong, so that its logs and its TLS cannot be trusted."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.units import format_duration
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`skew_s`: how far a clock may be off; logs of two machines then still compare."""

    skew_s: float = 300.0


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None or status.clock_at is None:
        return UNJUDGED
    source = status.sources.get("clock_at")
    read_at = status.at if source is None or source.at is None else source.at
    ahead_s = (status.clock_at - read_at).total_seconds()
    if abs(ahead_s) <= limits.skew_s:
        return None
    way = "ahead" if ahead_s > 0 else "behind"
    text = f"Clock is {format_duration(abs(ahead_s))} {way}"
    fact = machine_fact(machine, text, clock_at=status.clock_at.isoformat(), is_ahead=ahead_s > 0)
    return Trouble(Severity.LOW, text, way, (fact,))


RULE = MachineRule(
    name="clock_skew",
    about="A machine's own clock is wrong by minutes or more.",
    gives="what its clock read, and whether that is ahead of ours",
    severity=Severity.LOW,
    hold_on=timedelta(minutes=2),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
    crowd=25,
    crowd_words="have a wrong clock",
)
