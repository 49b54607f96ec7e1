"""A machine that is registered at this site and has never answered here."""

from __future__ import annotations

import msgspec

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, register_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after_s`: how long the agent must have looked before a machine counts as missing."""

    after_s: float = 600.0


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    registered, register = machine.registered, around.view.register
    if registered is None or register is None or machine.last_answered_at is not None:
        return None
    if (around.now - around.view.agent.started_at).total_seconds() < limits.after_s:
        return UNJUDGED
    place = f"at {registered.address}" if registered.address else "at no known address"
    fact = register_fact(
        register.made_at,
        f"{clip(registered.make)} {clip(registered.model)} is registered here, {place}",
        address=registered.address,
        serial=registered.serial,
        mac=registered.mac,
    )
    title = f"Registered {clip(registered.model)} was never seen here"
    return Trouble(Severity.MEDIUM, title, "never_seen", (fact,))


RULE = MachineRule(
    name="machine_missing",
    about="A machine is registered at this site and has never answered here.",
    gives="what the register says of it: address, serial, MAC",
    severity=Severity.MEDIUM,
    limits=Limits(),
    judge=judge,
    crowd=25,
    crowd_words="are registered and were never seen here",
    reads_status=False,
)
