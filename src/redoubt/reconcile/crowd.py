"""A trouble that many machines of a site have at once is told once, for the site.

A thousand machines with their factory password are one thing to do, not a thousand; told one by one
they would hide everything else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from redoubt.model.finding import Observation, Severity, Subject
from redoubt.reconcile._evidence import agent_fact, clip
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Unjudged
from redoubt.reconcile.outage import site_subject

MAX_NAMES = 20
"""How many machines of a crowd are named in its evidence."""
MOST_BLIND = 0.2
"""Where more of the machines are unread than this, a crowd that has shrunk may only be hidden."""

_GRAVEST_FIRST = list(Severity)


def gather_crowds(
    rules: Iterable[MachineRule],
    observations: Iterable[Observation],
    around: SiteRound,
    blind: int,
) -> Mapping[str, Trouble | Unjudged | None]:
    """Return, for each rule that tells crowds at once, what is to be said of the site.

    A Trouble stands for all of the rule's observations; None means that there is no crowd; `blind`
    counts the machines of which there is no reading.
    """
    by_rule: defaultdict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        by_rule[observation.rule].append(observation)
    is_dim = blind > MOST_BLIND * len(around.view.machines)
    crowds: dict[str, Trouble | Unjudged | None] = {}
    for rule in rules:
        if not rule.crowd:
            continue
        seen = by_rule[rule.name]
        if len(seen) > rule.crowd:
            crowds[rule.name] = _told(rule, seen, around)
        else:
            crowds[rule.name] = UNJUDGED if is_dim else None
    return crowds


def crowd_subject(around: SiteRound) -> Subject:
    return site_subject(around.view.site)


def _told(rule: MachineRule, seen: list[Observation], around: SiteRound) -> Trouble:
    gravest = min(seen, key=lambda one: _GRAVEST_FIRST.index(one.severity))
    names = sorted(one.subject.id for one in seen)
    named = ", ".join(clip(name) for name in names[:MAX_NAMES])
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    fact = agent_fact(around.now, f"{named}{more}", machines=len(names))
    title = f"{len(names)} machines {rule.crowd_words}"
    return Trouble(gravest.severity, title, gravest.cause, (fact,), gravest.confidence)
