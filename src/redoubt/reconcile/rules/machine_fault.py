"""A machine that reports a fault of its own, in its maker's code and words."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView

_MAX_FACTS = 8


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    if not status.errors:
        return None
    facts = tuple(
        machine_fact(
            machine,
            clip(fault.text),
            code=clip(fault.code) if fault.code else None,
            reported_at=fault.at.isoformat() if fault.at else None,
        )
        for fault in status.errors[:_MAX_FACTS]
    )
    first = status.errors[0]
    code = f" ({clip(first.code)})" if first.code else ""
    others = f" and {len(status.errors) - 1} more" if len(status.errors) > 1 else ""
    return Trouble(Severity.MEDIUM, f"Reports {clip(first.text)}{code}{others}", "fault", facts)


RULE = MachineRule(
    name="machine_fault",
    about="A machine reports a fault of its own.",
    gives="each fault in the maker's code and words",
    severity=Severity.MEDIUM,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=2),
    judge=judge,
)
