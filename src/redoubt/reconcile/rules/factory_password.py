"""A machine that lets in whoever knows its maker's password."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView

NOTE_CODE = "factory_password"
"""The note of a family that says itself whether its password was ever changed."""


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    says_so = any(note.code == NOTE_CODE for note in status.notes)
    if machine.factory_password is None and not says_so:
        return UNJUDGED
    if not machine.factory_password and not says_so:
        return None
    how = "reports that its password was never changed" if says_so else "took the factory password"
    fact = machine_fact(machine, f"{status.family or 'the machine'} {how}", address=status.address)
    return Trouble(Severity.HIGH, "Still has its factory password", "factory_password", (fact,))


RULE = MachineRule(
    name="factory_password",
    about="A machine accepts its maker's password, so anyone on its network can redirect it.",
    gives="that it accepted the factory credentials given in the credentials file, or says so",
    severity=Severity.HIGH,
    # Long enough for a first sweep, so that a crowd is told as one.
    hold_on=timedelta(seconds=30),
    judge=judge,
    crowd=10,
    crowd_words="still have their factory password",
)
