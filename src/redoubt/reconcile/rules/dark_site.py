"""A site whose agent has not been heard of: its machines may be well, and nobody here can know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import center_fact, clip, clock
from redoubt.reconcile._round import CenterRound
from redoubt.reconcile._rule import CenterRule, Trouble, Verdict
from redoubt.reconcile.views import AgentSeen, CenterView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`silent_s`: agents come at least every 25 s. `first_s`: time for a new one to come at all."""

    silent_s: float = 90.0
    first_s: float = 900.0


def judge(
    view: CenterView, around: CenterRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]]:
    """A site counts as heard of while any of its agents is: a new agent may replace an old one."""
    newest: dict[str, AgentSeen] = {}
    for agent in view.agents:
        if agent.revoked_at is not None:
            continue
        known = newest.get(agent.site)
        if known is None or _heard_at(agent) > _heard_at(known):
            newest[agent.site] = agent
    for site, agent in newest.items():
        yield Subject(SubjectKind.SITE, site), _judge_agent(agent, around, limits)


def _judge_agent(agent: AgentSeen, around: CenterRound, limits: Limits) -> Verdict:
    since = _heard_at(agent)
    never = agent.last_contact_at is None
    silent_s = (around.now - since).total_seconds()
    if silent_s <= (limits.first_s if never else limits.silent_s):
        return None
    name = clip(agent.agent)
    what = "enrolled and never came" if never else "was last heard of"
    fact = center_fact(
        around.now,
        f"agent {name} {what} at {clock(since)}",
        agent=name,
        last_contact_at=None if never else since.isoformat(),
    )
    title = (
        f"Agent enrolled at {clock(since)} and never came"
        if never
        else f"Site is dark: nothing heard since {clock(since)}"
    )
    severity = Severity.MEDIUM if never else Severity.CRITICAL
    return Trouble(severity, title, "never_came" if never else "silent", (fact,), since=since)


def _heard_at(agent: AgentSeen) -> datetime:
    return agent.last_contact_at or agent.enrolled_at


RULE = CenterRule(
    name="dark_site",
    about="The center has not heard of a site's agent; what is shown of the site is old.",
    gives="the agent and when it was last heard of",
    severity=Severity.CRITICAL,
    limits=Limits(),
    judge=judge,
)
