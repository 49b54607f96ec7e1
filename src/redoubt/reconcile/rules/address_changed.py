"""A machine that answers at another address than the register has, or than it had."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import machine_fact, register_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long a move is shown where the register has no address."""

    show_s: float = 86_400.0


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    registered, register = machine.registered, around.view.register
    if registered is None or register is None:
        return None
    if registered.address is not None:
        if registered.address == machine.address:
            return None
        allowed = register_fact(
            register.made_at,
            f"registered at {registered.address}",
            registered_address=registered.address,
        )
        shown = machine_fact(machine, f"answers at {machine.address}", address=machine.address)
        title = f"Answers at {machine.address}, registered at {registered.address}"
        return Trouble(Severity.LOW, title, "moved", (shown, allowed))
    moved = machine.moved
    if moved is None or (around.now - moved.at).total_seconds() > limits.show_s:
        return None
    shown = machine_fact(
        machine,
        f"moved from {moved.address} to {machine.address}",
        address=machine.address,
        previous_address=moved.address,
    )
    title = f"Moved from {moved.address} to {machine.address}"
    return Trouble(Severity.INFO, title, "moved", (shown,), since=moved.at)


RULE = MachineRule(
    name="address_changed",
    about="A machine answers at another address than it is registered at, or than it had before.",
    gives="the address now, and the one registered or the one before",
    severity=Severity.LOW,
    # Long enough for a first sweep, so that a crowd is told as one.
    hold_on=timedelta(seconds=30),
    limits=Limits(),
    judge=judge,
    crowd=25,
    crowd_words="answer at other addresses than registered, or than before",
)
