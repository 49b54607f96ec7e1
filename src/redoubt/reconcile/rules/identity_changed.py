"""A machine whose serial, MAC or control board is not the registered one, or not the one before."""

from __future__ import annotations

import msgspec

from redoubt.model.finding import Evidence, Severity
from redoubt.model.identity import Identity
from redoubt.reconcile._evidence import clip, machine_fact, register_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long a change is shown of an identifier that the register does not hold."""

    show_s: float = 86_400.0


_KINDS = (
    ("serial", "serial"),
    ("mac", "MAC"),
    ("control_board_serial", "control board"),
)


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    shown, register = machine.identity, around.view.register
    expected = machine.expected
    if register is not None and (
        shown.serial != expected.serial
        or shown.mac != expected.mac
        or shown.control_board_serial != expected.control_board_serial
    ):
        differs = _differing(expected, shown)
        if differs:
            held = {f"registered_{name}": getattr(expected, name) for name, _ in differs}
            allowed = register_fact(register.made_at, "the register holds others", **held)
            return _changed(machine, differs, Severity.HIGH, allowed)
    altered = machine.altered
    if altered is None or altered.identity is None:
        return None
    if (around.now - altered.at).total_seconds() > limits.show_s:
        return None
    differs = _differing(altered.identity, shown)
    if not differs:
        return None
    before = {f"previous_{name}": getattr(altered.identity, name) for name, _ in differs}
    fact = machine_fact(machine, "showed others before", **before)
    return _changed(machine, differs, Severity.MEDIUM, fact)


def _differing(before: Identity, shown: Identity) -> list[tuple[str, str]]:
    """Return the kinds of identifier that both have and that are not the same."""
    return [
        (name, words)
        for name, words in _KINDS
        if (old := getattr(before, name)) and (new := getattr(shown, name)) and old != new
    ]


def _changed(
    machine: MachineView, differs: list[tuple[str, str]], severity: Severity, other: Evidence
) -> Trouble:
    now_shown = {name: clip(getattr(machine.identity, name)) for name, _ in differs}
    words = " and ".join(words for _, words in differs)
    fact = machine_fact(machine, f"shows another {words}", address=machine.address, **now_shown)
    known_by = "registered" if severity is Severity.HIGH else "shown before"
    title = f"{words[0].upper()}{words[1:]} differs from the one {known_by}"
    return Trouble(severity, title, differs[0][0], (fact, other))


RULE = MachineRule(
    name="identity_changed",
    about="A machine's serial, MAC or control board is not the registered one, or not as before.",
    gives="the identifiers shown now, and those registered or shown before",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
