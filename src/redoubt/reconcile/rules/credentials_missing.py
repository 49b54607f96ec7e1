"""Fields that machines keep back from us for want of credentials: told once for the whole site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from redoubt.model.finding import Severity, Subject
from redoubt.model.status import Why
from redoubt.reconcile._evidence import agent_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, NoLimits, SiteRule, Trouble, Verdict
from redoubt.reconcile.outage import site_subject
from redoubt.reconcile.views import SiteView

_MOST_READ = 0.8
"""Of fewer machines than this part it can't be told that none keeps something back."""


def judge(
    view: SiteView, around: SiteRound, _limits: NoLimits
) -> Iterable[tuple[Subject, Verdict]]:
    yield site_subject(view.site), _judge_fields(view, around)


def _judge_fields(view: SiteView, around: SiteRound) -> Verdict:
    machines: Counter[str] = Counter()
    fields: set[str] = set()
    read = 0
    for machine in view.machines:
        if machine.status is None or machine.misses:
            continue
        read += 1
        locked = [
            name for name, source in machine.status.sources.items() if source.why is Why.NEEDS_AUTH
        ]
        if locked:
            machines[machine.status.family or "unknown"] += 1
            fields.update(locked)
    if not machines:
        return None if read > _MOST_READ * len(view.machines) else UNJUDGED
    total = machines.total()
    names = ", ".join(sorted(fields))
    facts = tuple(
        agent_fact(around.now, f"{count} of family {family}", machines=count, family=family)
        for family, count in sorted(machines.items())
    )
    who = f"{total} machines keep" if total > 1 else "1 machine keeps"
    title = f"{who} back {names} without credentials"
    return Trouble(Severity.INFO, title, "partly_locked", facts)


RULE = SiteRule(
    name="credentials_missing",
    about="Machines of the site tell some fields only to those who sign in, and no credentials "
    "that they take are given.",
    gives="how many machines of each family keep something back, and which fields",
    severity=Severity.INFO,
    hold_on=timedelta(minutes=1),
    judge=judge,
)
