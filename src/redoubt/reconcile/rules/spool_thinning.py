"""The agent gives up detail because its spool is full: the link is down, or the disk too small."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redoubt.model.finding import Severity, Subject
from redoubt.reconcile._evidence import agent_fact, agent_subject
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, SiteRule, Trouble, Verdict
from redoubt.reconcile.views import SiteView, SpoolView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`show_s`: how long after the last step it is shown. `full_share`: warn from here on."""

    show_s: float = 900.0
    full_share: float = 0.80


_STEPS = {
    "details_dropped": (Severity.LOW, "Spool full: old machine details are dropped"),
    "samples_thinned": (Severity.MEDIUM, "Spool full: telemetry is thinned to minutes"),
    "minutes_dropped": (Severity.HIGH, "Spool full: the oldest telemetry is dropped"),
}


def judge(view: SiteView, around: SiteRound, limits: Limits) -> Iterable[tuple[Subject, Verdict]]:
    yield agent_subject(view), _judge_spool(view.agent.spool, around, limits)


def _judge_spool(spool: SpoolView | None, around: SiteRound, limits: Limits) -> Verdict:
    if spool is None or spool.limit_bytes <= 0:
        return UNJUDGED
    fact = agent_fact(
        around.now,
        f"spool holds {spool.size_bytes / 1e6:.0f} of {spool.limit_bytes / 1e6:.0f} MB",
        size_bytes=spool.size_bytes,
        limit_bytes=spool.limit_bytes,
        rows_lost=spool.rows_lost,
        oldest_at=spool.oldest_at.isoformat() if spool.oldest_at else None,
    )
    made_room_at = spool.made_room_at
    is_recent = made_room_at and (around.now - made_room_at).total_seconds() <= limits.show_s
    if spool.made_room is not None and is_recent:
        severity, title = _STEPS.get(spool.made_room, (Severity.MEDIUM, "Spool full"))
        return Trouble(severity, title, spool.made_room, (fact,))
    if spool.size_bytes >= limits.full_share * spool.limit_bytes:
        share = spool.size_bytes / spool.limit_bytes
        return Trouble(Severity.LOW, f"Spool is {share:.0%} full", "filling", (fact,))
    return None


RULE = SiteRule(
    name="spool_thinning",
    about="The agent's spool is nearly full, or gives up detail to make room; findings are kept.",
    gives="how full the spool is, the oldest batch waiting, and the rows given up",
    severity=Severity.HIGH,
    limits=Limits(),
    judge=judge,
)
