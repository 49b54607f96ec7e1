"""The agent has batches that could not be delivered: damaged on its disk, or refused."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._evidence import agent_fact, agent_subject
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, SiteRule, Trouble, Verdict
from redoubt.reconcile.views import SiteView, SpoolView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long after the last one it is shown."""

    show_s: float = 7 * 86_400.0


def judge(view: SiteView, around: SiteRound, limits: Limits) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), _judge_spool(view.agent.spool, around, limits)


def _judge_spool(spool: SpoolView | None, around: SiteRound, limits: Limits) -> Verdict:
    if spool is None:
        return UNJUDGED
    if not spool.aside or spool.aside_at is None:
        return None
    if (around.now - spool.aside_at).total_seconds() > limits.show_s:
        return None
    fact = agent_fact(
        spool.aside_at,
        f"{spool.aside} batches were put aside since the spool began",
        aside=spool.aside,
    )
    title = f"{spool.aside} batch{'es' if spool.aside > 1 else ''} could not be delivered"
    return Trouble(Severity.HIGH, title, "put_aside", (fact,))


RULE = SiteRule(
    name="batch_aside",
    about="Batches of the agent were damaged on its disk or refused by the center, and lie aside.",
    gives="how many batches were put aside",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
