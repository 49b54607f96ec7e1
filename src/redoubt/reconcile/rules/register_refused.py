"""A register snapshot came that the agent could not accept: forged, damaged or rolled back."""

from __future__ import annotations

from collections.abc import Iterable

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._evidence import agent_fact, agent_subject, clip
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import NoLimits, SiteRule, Trouble, Verdict
from redoubt.reconcile.views import SiteView


def judge(
    view: SiteView, around: SiteRound, _limits: NoLimits
) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), _judge_refusal(view, around)


def _judge_refusal(view: SiteView, around: SiteRound) -> Verdict:
    why = view.agent.register_refused
    if why is None:
        return None
    version = None if view.register is None else view.register.version
    fact = agent_fact(view.agent.refused_at or around.now, clip(why), kept_version=version)
    kept = "no register" if version is None else f"version {version}"
    title = f"Refused a register snapshot, keeps {kept}: {clip(why)}"
    return Trouble(Severity.CRITICAL, title, "refused", (fact,))


RULE = SiteRule(
    name="register_refused",
    about="The agent refused a register snapshot: not signed by its center, damaged, or older.",
    gives="why it was refused and the version that the agent keeps",
    severity=Severity.CRITICAL,
    judge=judge,
)
