"""A machine that answered before and no longer does. Groups that fall together are one finding."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import agent_fact, clock
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`misses`: polls in a row without an answer; one or two happen on a busy network."""

    misses: int = 3


def judge(machine: MachineView, around: SiteRound, limits: Limits) -> Verdict:
    if machine.misses == 0:
        return UNJUDGED if machine.status is None else None
    if machine.registered is None or machine.last_answered_at is None:
        # Nobody counts on a stranger, and who never answered is `machine_missing`.
        return None
    if machine.misses < limits.misses or machine.machine in around.in_outage:
        return UNJUDGED
    since = machine.last_answered_at
    fact = agent_fact(
        around.now,
        f"{machine.address} has not answered since {clock(since)}",
        address=machine.address,
        last_answered_at=since.isoformat(),
    )
    title = f"No reply since {clock(since)}"
    return Trouble(Severity.HIGH, title, "no_reply", (fact,), since=since)


RULE = MachineRule(
    name="machine_offline",
    about="A registered machine that answered before does not answer any more.",
    gives="the address that was tried and when it last answered",
    severity=Severity.HIGH,
    # Long enough for a rack whose power returns to come back one by one.
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(seconds=30),
    limits=Limits(),
    judge=judge,
    reads_status=False,
)
