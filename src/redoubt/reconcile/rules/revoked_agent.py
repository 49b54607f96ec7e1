"""A revoked agent that still knocks: a machine not yet taken away, or a stolen key in use."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import center_fact, clip, clock
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import CenterRule, Trouble, Verdict
from redoubt.reconcile.views import AgentSeen, CenterView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long after the last knock it is shown."""

    show_s: float = 86_400.0


def judge(
    view: CenterView, around: CenterRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]]:
    for agent in view.agents:
        if agent.revoked_at is not None:
            yield Subject(SubjectKind.AGENT, agent.agent), _judge_agent(agent, around, limits)


def _judge_agent(agent: AgentSeen, around: CenterRound, limits: Limits) -> Verdict:
    knocked_at, revoked_at = agent.knocked_at, agent.revoked_at
    if knocked_at is None or revoked_at is None or knocked_at <= revoked_at:
        return None
    if (around.now - knocked_at).total_seconds() > limits.show_s:
        return None
    where = f" from {clip(agent.knock_address)}" if agent.knock_address else ""
    fact = center_fact(
        knocked_at,
        f"tried to connect{where} after it was revoked at {clock(revoked_at)}",
        address=agent.knock_address or None,
        site=agent.site,
    )
    return Trouble(Severity.HIGH, f"Revoked agent knocks{where}", "revoked", (fact,))


RULE = CenterRule(
    name="revoked_agent",
    about="An agent that was revoked still tries to connect.",
    gives="when and from where it tried, and when it was revoked",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
