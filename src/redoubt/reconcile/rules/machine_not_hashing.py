"""A machine that answers and does no work, with the reason that it gives itself where it does."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.status import MachineState, MachineStatus, PoolState
from redoubt.reconcile._evidence import clip, machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`start_s`: uptime below which a machine may still be starting; S19 tuning takes minutes."""

    start_s: int = 300


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None or (status.hashrate_hs is None and status.state is not MachineState.SLEEPING):
        return UNJUDGED
    if status.hashrate_hs is not None and status.hashrate_hs != 0:
        return None
    if status.uptime_s is not None and status.uptime_s < limits.start_s:
        return UNJUDGED
    cause, why, severity = _why(status)
    fact = machine_fact(
        machine,
        f"answers and hashes nothing: {why}",
        state=status.state.value,
        hashrate_hs=status.hashrate_hs,
        uptime_s=status.uptime_s,
    )
    return Trouble(severity, f"Not hashing: {why}", cause, (fact,))


def _why(status: MachineStatus) -> tuple[str, str, Severity]:
    if status.state is MachineState.SLEEPING:
        return "sleeping", "it sleeps", Severity.LOW
    if status.errors:
        fault = status.errors[0]
        return "fault", f"it reports {clip(fault.text)}", Severity.HIGH
    used = [pool.state for pool in status.pools if pool.state is not PoolState.DISABLED]
    if used and all(state is PoolState.DEAD for state in used):
        return "no_pool", "none of its pools answers", Severity.HIGH
    if status.boards and not any(board.chips for board in status.boards):
        return "no_boards", "no hashboard answers", Severity.HIGH
    return "idle", "it gives no reason", Severity.HIGH


RULE = MachineRule(
    name="machine_not_hashing",
    about="A machine answers and hashes nothing, though it has had time to start.",
    gives="its state, hashrate and uptime, and the reason that it reports",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=60),
    hold_off=timedelta(seconds=60),
    limits=Limits(),
    judge=judge,
)
