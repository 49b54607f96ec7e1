"""A rack whose machines fell silent together: look at its breaker, PDU or switch first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.model.ids import RackId
from redoubt.reconcile._evidence import agent_fact, clip, clock
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, NoLimits, SiteRule, Trouble, Verdict
from redoubt.reconcile.outage import Group
from redoubt.reconcile.views import SiteView


def judge(
    _view: SiteView, around: SiteRound, _limits: NoLimits
) -> Iterable[tuple[Subject, Verdict]]:
    dark = {group.subject for group in around.outages}
    for group in around.groups:
        if group.subject.kind is not SubjectKind.RACK:
            continue
        if group.subject in dark:
            yield group.subject, _dark(group, around)
        elif group.is_unclear:
            yield group.subject, UNJUDGED


def _dark(group: Group, around: SiteRound) -> Trouble:
    rack = around.racks.get(RackId(group.subject.id))
    name = clip(rack.name if rack else group.subject.id)
    count, since = len(group.silent), group.since or around.now
    fact = agent_fact(
        around.now,
        f"{count} of {group.total} machines fell silent together by {clock(since)}",
        silent=count,
        machines=group.total,
        last_answered_at=since.isoformat(),
    )
    title = f"Rack {name} is dark: {count} of {group.total} machines silent since {clock(since)}"
    return Trouble(Severity.CRITICAL, title, "no_reply", (fact,), since=since)


RULE = SiteRule(
    name="rack_offline",
    about="Most machines of a rack fell silent together; they are then not told one by one.",
    gives="how many of the rack's machines are silent, and since when",
    severity=Severity.CRITICAL,
    hold_off=timedelta(seconds=30),
    judge=judge,
)
