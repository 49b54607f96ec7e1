"""What a discovery could not tell: strangers on machine ports, and addresses not tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.reconcile._evidence import agent_fact, agent_subject, clip
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import SiteRule, Trouble, Verdict
from redoubt.reconcile.views import ScanView, SiteView, StrangeAddress


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most_strangers`: told one by one; what is beyond is counted in the agent's finding."""

    most_strangers: int = 50


def judge(
    view: SiteView, _around: SiteRound, limits: Limits
) -> Iterable[tuple[Subject, Verdict]] | None:
    scan = view.agent.scan
    return None if scan is None else _judge_scan(view, scan, limits)


def _judge_scan(
    view: SiteView, scan: ScanView, limits: Limits
) -> Iterator[tuple[Subject, Verdict]]:
    for stranger in scan.strangers[: limits.most_strangers]:
        yield Subject(SubjectKind.ADDRESS, stranger.address), _stranger(stranger)
    untold = max(0, len(scan.strangers) - limits.most_strangers)
    if scan.untried or untold:
        why = clip(scan.why_untried) or "more strangers than are told one by one"
        fact = agent_fact(scan.ended_at, why, untried=scan.untried, untold=untold)
        title = f"Discovery left out {scan.untried + untold} addresses: {why}"
        yield agent_subject(view), Trouble(Severity.MEDIUM, title, "untried", (fact,))


def _stranger(stranger: StrangeAddress) -> Trouble:
    text = clip(stranger.text)
    fact = agent_fact(stranger.at, text, address=stranger.address)
    title = f"Something at {stranger.address}: {text}"
    return Trouble(Severity.INFO, title, "no_known_api", (fact,))


RULE = SiteRule(
    name="scan_gap",
    about="Discovery met an address that answers without an API we know, or left addresses out.",
    gives="the address and what it answered, or how many addresses were left out and why",
    severity=Severity.MEDIUM,
    limits=Limits(),
    judge=judge,
)
