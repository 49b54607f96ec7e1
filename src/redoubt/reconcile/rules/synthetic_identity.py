"""A machine that shows no serial, MAC or control board: it is known by its address only."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.model.status import MachineStatus, Why
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    shown, status = machine.identity, machine.status
    if shown.serial or shown.mac or shown.control_board_serial:
        return None
    if status is None:
        return UNJUDGED
    locked = _is_locked(status)
    why = "it tells them only with credentials" if locked else "it shows none"
    fact = machine_fact(
        machine,
        f"no serial, MAC or control board: {why}",
        address=status.address,
        family=status.family,
    )
    title = f"Known by its address only: {why}"
    return Trouble(Severity.LOW, title, "needs_auth" if locked else "no_identifier", (fact,))


def _is_locked(status: MachineStatus) -> bool:
    return any(
        source.why is Why.NEEDS_AUTH
        for name in ("serial", "mac", "control_board_serial")
        if (source := status.sources.get(name)) is not None
    )


RULE = MachineRule(
    name="synthetic_identity",
    about="A machine shows no identifier, so it cannot be told from another at its address.",
    gives="its address and family, and whether credentials would help",
    severity=Severity.LOW,
    # Long enough for a first sweep, so that a crowd is told as one.
    hold_on=timedelta(seconds=30),
    judge=judge,
    crowd=10,
    crowd_words="are known by their address only",
)
