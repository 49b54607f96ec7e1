"""A machine that keeps something from us because we have no credentials for it."""

from __future__ import annotations

from redoubt.model.finding import Severity
from redoubt.model.status import MachineState, Why
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    is_locked = status.state is MachineState.NEEDS_AUTH
    locked = [name for name, source in status.sources.items() if source.why is Why.NEEDS_AUTH]
    if not is_locked and not locked:
        return None
    fields = ", ".join(sorted(locked)) or None
    text = "refuses to be read" if is_locked else f"keeps back {fields}"
    fact = machine_fact(
        machine, f"{text} without credentials", address=status.address, fields=fields
    )
    if is_locked:
        title = "Cannot be read without credentials"
        return Trouble(Severity.MEDIUM, title, "locked", (fact,))
    title = f"{len(locked)} fields need credentials"
    return Trouble(Severity.INFO, title, "partly_locked", (fact,))


RULE = MachineRule(
    name="needs_auth",
    about="A machine keeps back what it says only to those who sign in; no credentials are given.",
    gives="the fields that it keeps back",
    severity=Severity.MEDIUM,
    judge=judge,
)
