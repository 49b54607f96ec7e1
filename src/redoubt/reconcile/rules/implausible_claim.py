"""A machine that claims what cannot be: its firmware lies, or a sensor is broken."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView

CLAIMS = {
    "hashrate_negative": Severity.MEDIUM,
    "hashrate_over_nominal": Severity.HIGH,
    "hashrate_without_fans": Severity.HIGH,
    "chips_negative": Severity.MEDIUM,
    "chips_over": Severity.HIGH,
    "power_implausible": Severity.MEDIUM,
    "efficiency_implausible": Severity.MEDIUM,
    "temp_implausible": Severity.MEDIUM,
    "fan_implausible": Severity.LOW,
    "uptime_negative": Severity.LOW,
    "mac_invalid": Severity.LOW,
}
"""The notes that drivers give on values that cannot be true, and how grave each is. Those that make
a machine look better than it is are the graver ones."""
_ORDER = list(Severity)
_MAX_FACTS = 8


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    if not status.notes:
        return None
    claims = [note for note in status.notes if note.code in CLAIMS]
    if not claims:
        return None
    claims.sort(key=lambda note: _ORDER.index(CLAIMS[note.code]))
    worst = claims[0]
    facts = tuple(
        machine_fact(machine, clip(note.text), claim=note.code, field=note.field)
        for note in claims[:_MAX_FACTS]
    )
    text = clip(worst.text)
    return Trouble(CLAIMS[worst.code], f"{text[:1].upper()}{text[1:]}", worst.code, facts)


RULE = MachineRule(
    name="implausible_claim",
    about="A machine claims what cannot be true, like 166 % of its chips or a negative hashrate.",
    gives="each claim as the machine made it",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=5),
    judge=judge,
)
