"""Batches of a site that the center took in and cannot use: a wrong clock, a fault, or a forger."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import center_fact, clip
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import CenterRule, Trouble, Verdict
from redoubt.reconcile.views import BatchAside, CenterView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long after the last one it is shown."""

    show_s: float = 86_400.0


def judge(
    view: CenterView, around: CenterRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]]:
    recent = [
        aside for aside in view.asides if (around.now - aside.at).total_seconds() <= limits.show_s
    ]
    recent.sort(key=lambda aside: (aside.agent, aside.at))
    for agent, asides in groupby(recent, key=lambda aside: aside.agent):
        yield Subject(SubjectKind.AGENT, agent), _unusable(list(asides))


def _unusable(asides: list[BatchAside]) -> Trouble:
    last, count = asides[-1], len(asides)
    fact = center_fact(last.at, clip(last.why), batches=count)
    title = f"{count} batch{'es' if count > 1 else ''} could not be used: {clip(last.why)}"
    return Trouble(Severity.MEDIUM, title, "unusable", (fact,), since=asides[0].at)


RULE = CenterRule(
    name="batch_unusable",
    about="A site sent batches, or rows in them, that the center cannot use and keeps aside.",
    gives="why the last one could not be used, and how many there were",
    severity=Severity.MEDIUM,
    limits=Limits(),
    judge=judge,
)
