"""An agent whose certificate runs out: its renewal, due at half-life, does not come through."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import center_fact, clip, clock
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import UNJUDGED, CenterRule, Trouble, Verdict
from redoubt.reconcile.views import AgentSeen, CenterView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`warn_s`: left at this point; certificates live 7 days and are renewed after 3.5."""

    warn_s: float = 2 * 86_400.0


def judge(
    view: CenterView, around: CenterRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]]:
    for agent in view.agents:
        if agent.revoked_at is None:
            yield Subject(SubjectKind.AGENT, agent.agent), _judge_agent(agent, around, limits)


def _judge_agent(agent: AgentSeen, around: CenterRound, limits: Limits) -> Verdict:
    expires_at = agent.certificate_expires_at
    if expires_at is None:
        return UNJUDGED
    left_s = (expires_at - around.now).total_seconds()
    if left_s > limits.warn_s:
        return None
    is_over = left_s <= 0
    fact = center_fact(
        around.now,
        f"certificate of {clip(agent.agent)} {'ended' if is_over else 'ends'} {clock(expires_at)}",
        expires_at=expires_at.isoformat(),
        site=agent.site,
    )
    title = f"Certificate {'expired' if is_over else 'expires'} {clock(expires_at)}"
    severity = Severity.HIGH if is_over else Severity.MEDIUM
    return Trouble(severity, title, "expired" if is_over else "expiring", (fact,))


RULE = CenterRule(
    name="agent_certificate",
    about="An agent's certificate is about to end or has ended without having been renewed.",
    gives="when it ends and the site that it belongs to",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
