"""A machine that answers at the site and that nobody registered."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.model.status import MachineState
from redoubt.reconcile._evidence import active_pool, clip, machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, around: SiteRound, _limits: NoLimits) -> Verdict:
    if machine.registered is not None:
        return None
    status = machine.status
    if status is None or around.view.register is None:
        return UNJUDGED
    pool = active_pool(status)
    name = clip(" ".join(part for part in (status.make, status.model) if part) or "machine")
    fact = machine_fact(
        machine,
        f"{name} answers at {status.address} and is not in the register",
        address=status.address,
        serial=status.serial,
        mac=status.mac,
        pool_url=clip(pool.url) if pool and pool.url else None,
        pool_user=clip(pool.user) if pool and pool.user else None,
    )
    severity = Severity.HIGH if status.state is MachineState.HASHING else Severity.MEDIUM
    title = f"Unregistered {name} at {status.address}"
    return Trouble(severity, title, "not_registered", (fact,))


RULE = MachineRule(
    name="unknown_machine",
    about="A machine answers at the site and is not in the register.",
    gives="where it is, what it says it is, and the pool and account that it works for",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    judge=judge,
    crowd=25,
    crowd_words="are not in the register",
)
