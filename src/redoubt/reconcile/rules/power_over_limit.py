"""A machine that draws more than the register allows it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.units import format_watts
from redoubt.reconcile._evidence import machine_fact, register_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tolerance_share`: how far over its limit a machine may wobble unsaid."""

    tolerance_share: float = 0.05


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    registered, status, register = machine.registered, machine.status, around.view.register
    if registered is None or registered.power_limit_w is None or register is None:
        return None
    if status is None or status.power_w is None:
        return UNJUDGED
    limit_w = registered.power_limit_w
    if status.power_w <= limit_w * (1 + limits.tolerance_share):
        return None
    kind = status.power_kind.value if status.power_kind else "claimed"
    drawn, allowed = format_watts(status.power_w), format_watts(limit_w)
    fact = machine_fact(
        machine,
        f"draws {drawn} ({kind})",
        power_w=round(status.power_w),
        power_kind=kind,
    )
    limit = register_fact(register.made_at, f"may draw {allowed}", power_limit_w=limit_w)
    title = f"Draws {drawn} ({kind}) of {allowed} allowed"
    return Trouble(Severity.MEDIUM, title, "over_limit", (fact, limit))


RULE = MachineRule(
    name="power_over_limit",
    about="A machine draws more power than the register allows it.",
    gives="watts and whether they are measured, claimed or estimated, and the watts allowed",
    severity=Severity.MEDIUM,
    hold_on=timedelta(minutes=2),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
    crowd=25,
    crowd_words="draw more than they may",
)
