"""A batch that came twice with different bodies: a copied spool, or a stolen key of an agent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import center_fact, clip
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import CenterRule, Trouble, Verdict
from redoubt.reconcile.views import BatchConflict, CenterView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long after the last one it is shown."""

    show_s: float = 7 * 86_400.0


def judge(
    view: CenterView, around: CenterRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]]:
    recent = [
        conflict
        for conflict in view.conflicts
        if (around.now - conflict.at).total_seconds() <= limits.show_s
    ]
    recent.sort(key=lambda conflict: (conflict.agent, conflict.at))
    for agent, conflicts in groupby(recent, key=lambda conflict: conflict.agent):
        yield Subject(SubjectKind.AGENT, agent), _conflict(list(conflicts))


def _conflict(conflicts: list[BatchConflict]) -> Trouble:
    last, count = conflicts[-1], len(conflicts)
    fact = center_fact(
        last.at,
        f"batch {last.seq} of epoch {clip(last.epoch)} came with another body than before",
        epoch=clip(last.epoch),
        seq=last.seq,
        conflicts=count,
    )
    title = f"{count} batch{'es' if count > 1 else ''} came again with a different body"
    return Trouble(Severity.HIGH, title, "other_body", (fact,), since=conflicts[0].at)


RULE = CenterRule(
    name="batch_conflict",
    about="An agent sent a batch under a key that it had used for another one.",
    gives="the last such key, and how many there were",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
