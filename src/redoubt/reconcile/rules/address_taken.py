"""Another machine answers where a machine used to be that is now nowhere."""

from __future__ import annotations

import msgspec

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long the change is shown."""

    show_s: float = 86_400.0


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    replaced = machine.replaced
    if replaced is None or replaced.machine is None:
        return None
    if (around.now - replaced.at).total_seconds() > limits.show_s:
        return None
    other = around.by_id.get(replaced.machine)
    if other is None or (other.misses == 0 and other.address != machine.address):
        # It answers elsewhere: addresses were dealt anew, which `address_changed` tells.
        return None
    fact = machine_fact(
        machine,
        f"answers at {machine.address}, where {replaced.machine} answered before",
        address=machine.address,
        previous_machine=replaced.machine,
    )
    title = f"Took the place of {replaced.machine} at {machine.address}"
    return Trouble(Severity.MEDIUM, title, "replaced", (fact,), since=replaced.at)


RULE = MachineRule(
    name="address_taken",
    about="Another machine answers at the address of one that is now silent.",
    gives="the address and the machine that answered there before",
    severity=Severity.MEDIUM,
    limits=Limits(),
    judge=judge,
)
