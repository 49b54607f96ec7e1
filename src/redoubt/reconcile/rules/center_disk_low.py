"""The center's disk is nearly full: soon it answers agents with 507, and they keep their data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._disk import DiskLimits, judge_disk
from redoubt.reconcile._evidence import center_fact
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import CenterRule, Verdict
from redoubt.reconcile.views import CenterView

SUBJECT = Subject(SubjectKind.CENTER, "disk")


def judge(
    view: CenterView, around: CenterRound, limits: DiskLimits
) -> Iterable[tuple[Subject, Verdict]]:
    yield SUBJECT, judge_disk(view.disk, around.now, limits, center_fact)


RULE = CenterRule(
    name="center_disk_low",
    about="The center's disk is nearly full; when it is full, sites keep what they have.",
    gives="free and total bytes",
    severity=Severity.CRITICAL,
    hold_on=timedelta(seconds=60),
    hold_off=timedelta(minutes=5),
    limits=DiskLimits(),
    judge=judge,
)
