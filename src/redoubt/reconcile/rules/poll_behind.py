"""The agent needs longer for one sweep over its machines than its cadence allows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._evidence import agent_fact, agent_subject
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, SiteRule, Trouble, Verdict
from redoubt.reconcile.views import SiteView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`share`: the part of the cadence that a sweep may take."""

    share: float = 1.0


def judge(view: SiteView, around: SiteRound, limits: Limits) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), _judge_sweep(view, around, limits)


def _judge_sweep(view: SiteView, around: SiteRound, limits: Limits) -> Verdict:
    sweep_s = view.agent.sweep_s
    if sweep_s is None:
        return UNJUDGED
    if sweep_s <= limits.share * view.cadence_s:
        return None
    fact = agent_fact(
        around.now,
        f"one sweep over {len(view.machines)} machines took {sweep_s:.0f} s",
        machines=len(view.machines),
        sweep_s=round(sweep_s, 1),
        cadence_s=view.cadence_s,
    )
    title = f"Polling falls behind: {sweep_s:.0f} s per sweep, {view.cadence_s:.0f} s planned"
    return Trouble(Severity.MEDIUM, title, "slow_sweep", (fact,))


RULE = SiteRule(
    name="poll_behind",
    about="A sweep over all machines takes longer than the poll cadence, so readings come late.",
    gives="how long a sweep took and the cadence, s",
    severity=Severity.MEDIUM,
    hold_on=timedelta(minutes=2),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
)
