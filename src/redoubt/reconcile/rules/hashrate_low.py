"""A machine that hashes, and for some time clearly less than its nominal hashrate."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.status import MachineState
from redoubt.model.units import format_hashrate
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`low_share` and `very_low_share` of the nominal hashrate; `start_s` of uptime is for tuning.

    Makers promise nominal within some percent, and short averages wobble about as much.
    """

    low_share: float = 0.90
    very_low_share: float = 0.70
    start_s: int = 900


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None or status.hashrate_hs is None:
        return UNJUDGED
    if status.state not in (MachineState.HASHING, MachineState.DEGRADED):
        return UNJUDGED
    registered = machine.registered
    nominal_hs = registered.hashrate_nominal_hs if registered is not None else None
    nominal_hs = nominal_hs or status.hashrate_nominal_hs
    if not nominal_hs or nominal_hs <= 0:
        return UNJUDGED
    share = status.hashrate_hs / nominal_hs
    if share >= limits.low_share:
        return None
    if status.uptime_s is not None and status.uptime_s < limits.start_s:
        return UNJUDGED
    if share <= 0:
        # Nothing at all is `machine_not_hashing`, less than nothing `implausible_claim`.
        return UNJUDGED
    fact = machine_fact(
        machine,
        f"{format_hashrate(status.hashrate_hs)} of {format_hashrate(nominal_hs)} nominal",
        hashrate_hs=round(status.hashrate_hs),
        hashrate_nominal_hs=round(nominal_hs),
        share_percent=round(100 * share, 1),
    )
    severity = Severity.HIGH if share < limits.very_low_share else Severity.MEDIUM
    title = f"Hashes {share:.0%} of nominal ({format_hashrate(status.hashrate_hs)})"
    return Trouble(severity, title, "hashrate_low", (fact,))


RULE = MachineRule(
    name="hashrate_low",
    about="A machine hashes for minutes on end clearly less than its nominal hashrate.",
    gives="hashrate claimed and nominal (the register's, else the machine's or its model's)",
    severity=Severity.HIGH,
    hold_on=timedelta(minutes=5),
    hold_off=timedelta(minutes=5),
    limits=Limits(),
    judge=judge,
)
