"""The agent's disk is nearly full."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._disk import DiskLimits, judge_disk
from redoubt.reconcile._evidence import agent_fact, agent_subject
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import SiteRule, Verdict
from redoubt.reconcile.views import SiteView


def judge(
    view: SiteView, around: SiteRound, limits: DiskLimits
) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), judge_disk(view.agent.disk, around.now, limits, agent_fact)


RULE = SiteRule(
    name="disk_filling",
    about="The disk that the site agent keeps its spool on is nearly full.",
    gives="free and total bytes",
    severity=Severity.CRITICAL,
    hold_on=timedelta(seconds=60),
    hold_off=timedelta(minutes=5),
    limits=DiskLimits(),
    judge=judge,
)
