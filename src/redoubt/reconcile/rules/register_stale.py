"""The agent works by a register that the center has not confirmed for long, or by none."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._evidence import agent_fact, agent_subject, clock
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, SiteRule, Trouble, Verdict
from redoubt.reconcile.views import SiteView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after_s`: how old the center's last word on the register may be."""

    after_s: float = 3600.0


def judge(view: SiteView, around: SiteRound, limits: Limits) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), _judge_age(view, around, limits)


def _judge_age(view: SiteView, around: SiteRound, limits: Limits) -> Verdict:
    confirmed_at = view.agent.register_confirmed_at
    age_s = (around.now - (confirmed_at or view.agent.started_at)).total_seconds()
    if age_s <= limits.after_s:
        return UNJUDGED if confirmed_at is None else None
    register = view.register
    if register is None:
        fact = agent_fact(around.now, "no register snapshot was ever received", version=None)
        title = "Works without a register: nothing can be checked against it"
        return Trouble(Severity.HIGH, title, "no_register", (fact,))
    fact = agent_fact(
        around.now,
        f"works by version {register.version}",
        version=register.version,
        confirmed_at=None if confirmed_at is None else confirmed_at.isoformat(),
    )
    since = confirmed_at or view.agent.started_at
    title = f"Register version {register.version} not confirmed since {clock(since)}"
    return Trouble(Severity.MEDIUM, title, "not_confirmed", (fact,))


RULE = SiteRule(
    name="register_stale",
    about="The center has not confirmed the agent's register for long; it works by the last one.",
    gives="the version that it works by and when the center last confirmed one",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
