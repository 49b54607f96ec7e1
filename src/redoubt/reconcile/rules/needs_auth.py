"""A machine that tells nothing at all to those who do not sign in."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.model.status import MachineState
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    if status.state is not MachineState.NEEDS_AUTH:
        return None
    fact = machine_fact(
        machine,
        f"{status.address} answers and refuses to be read without credentials, or with those given",
        address=status.address,
        family=status.family,
    )
    return Trouble(Severity.MEDIUM, "Cannot be read without credentials", "locked", (fact,))


RULE = MachineRule(
    name="needs_auth",
    about="A machine answers and refuses to be read; nothing is known of it until it is given "
    "credentials that it takes.",
    gives="its address and family",
    severity=Severity.MEDIUM,
    # Long enough for a first sweep, so that a crowd is told as one.
    hold_on=timedelta(seconds=30),
    judge=judge,
    crowd=10,
    crowd_words="cannot be read without credentials",
)
