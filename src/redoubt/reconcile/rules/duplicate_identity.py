"""Two machines that show the same identifier at the same time: a clone, or one that poses as it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, around: SiteRound, _limits: NoLimits) -> Verdict:
    shared = around.shared_identifiers
    if not shared:
        return None
    owned = set(machine.expected.identifiers())
    for identifier in machine.identity.identifiers():
        others = [other for other in shared.get(identifier, ()) if other != machine.machine]
        if others and identifier not in owned:
            return _duplicate(machine, identifier, others)
    return None


def _duplicate(machine: MachineView, identifier: str, others: Sequence[str]) -> Trouble:
    kind, _, value = identifier.partition(":")
    kind = kind.replace("_", " ")
    names = ", ".join(sorted(others))
    fact = machine_fact(
        machine,
        f"{machine.address} shows the {kind} of {names}, which answers elsewhere",
        address=machine.address,
        identifier=clip(value),
        other_machines=names,
    )
    title = f"Shows the same {kind} as {names}"
    return Trouble(Severity.HIGH, title, "same_identifier", (fact,))


RULE = MachineRule(
    name="duplicate_identity",
    about="Two machines answer at once with the same serial, MAC or control board; the one that "
    "the register does not hold it for is told.",
    gives="the identifier, where it was shown, and the other machines that show it",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=2),
    judge=judge,
)
