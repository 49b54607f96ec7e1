"""An address block, or a whole site, of which nearly nobody answers any more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from redoubt.model.finding import Severity, Subject, SubjectKind
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
        if group.subject.kind is SubjectKind.RACK:
            continue
        if group.subject in dark:
            yield group.subject, _silent(group, around)
        elif group.is_unclear:
            yield group.subject, UNJUDGED


def _silent(group: Group, around: SiteRound) -> Trouble:
    count, since = len(group.silent), group.since or around.now
    is_site = group.subject.kind is SubjectKind.SITE
    where = "at this site" if is_site else f"in {clip(group.subject.id)}"
    fact = agent_fact(
        around.now,
        f"{count} of {group.total} machines {where} fell silent together by {clock(since)}",
        silent=count,
        machines=group.total,
        last_answered_at=since.isoformat(),
    )
    title = f"{count} of {group.total} machines {where} silent since {clock(since)}"
    cause = "site_silent" if is_site else "block_silent"
    return Trouble(Severity.CRITICAL, title, cause, (fact,), since=since)


RULE = SiteRule(
    name="network_silent",
    about="Nearly all machines of a site or an address block fell silent together.",
    gives="how many are silent, and since when",
    severity=Severity.CRITICAL,
    hold_off=timedelta(seconds=30),
    judge=judge,
)
