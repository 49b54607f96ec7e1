"""Hashboards in a machine that are not the ones registered with it: swapped, replaced or stolen."""

from __future__ import annotations

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, machine_fact, register_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, around: SiteRound, _limits: NoLimits) -> Verdict:
    expected, shown = machine.expected.hashboard_serials, machine.identity.hashboard_serials
    register = around.view.register
    if not expected or register is None:
        return None
    if not shown:
        return UNJUDGED
    if shown == expected or set(shown) <= set(expected):
        return None
    foreign = [serial for serial in shown if serial not in expected]
    owners = around.hashboard_owners
    from_others = sorted({owners[serial] for serial in foreign if serial in owners})
    source = f" from {', '.join(from_others)}" if from_others else ""
    fact = machine_fact(
        machine,
        f"{len(foreign)} of {len(shown)} hashboards are not registered with this machine{source}",
        foreign_serials=", ".join(clip(serial) for serial in foreign),
        from_machines=", ".join(from_others) or None,
    )
    allowed = register_fact(
        register.made_at,
        f"{len(expected)} hashboards are registered with it",
        registered_serials=", ".join(expected),
    )
    title = f"{len(foreign)} unregistered hashboard{'s' if len(foreign) > 1 else ''}{source}"
    cause = "swapped" if from_others else "replaced"
    return Trouble(Severity.MEDIUM, title, cause, (fact, allowed))


RULE = MachineRule(
    name="hashboards_swapped",
    about="A machine holds hashboards that are registered with another machine, or with none.",
    gives="the serials that are not its own, the machine they belong to, and those registered",
    severity=Severity.MEDIUM,
    judge=judge,
)
