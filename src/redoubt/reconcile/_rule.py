"""The shape of a rule: what it is called, when it speaks, and the function that judges.

A rule is a value. `judge` looks at one view and says what is the matter, if anything; the runner
adds the rule's name and the subject, and the finding book adds time. A rule that cannot tell says
`UNJUDGED`, so that silence is never taken for health.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal

import msgspec

from redoubt.model.finding import Evidence, Severity, Subject
from redoubt.reconcile._round import CenterRound, SiteRound
from redoubt.reconcile.views import CenterView, MachineView, SiteView


class Unjudged(Enum):
    """The one value that says: this cannot be told from what is known now."""

    UNJUDGED = "unjudged"


UNJUDGED: Final = Unjudged.UNJUDGED


class Trouble(msgspec.Struct, frozen=True):
    """What is the matter. `since` is when it began, where that is known better than "now"."""

    severity: Severity
    title: str
    cause: str
    evidence: tuple[Evidence, ...]
    confidence: float = 1.0
    since: datetime | None = None


Verdict = Trouble | None | Literal[Unjudged.UNJUDGED]
"""None means: judged, and nothing is the matter."""


class NoLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule has no parameters."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What all rules share.

    about: one sentence for people: what is the matter when it speaks.
    gives: one sentence: the evidence that it gives.
    severity: the highest that it gives.
    hold_on: how long the trouble must be seen without a break before a finding opens.
    hold_off: how long it must be seen gone without a break before the finding is resolved.
    limits: its parameters, a frozen struct with a documented default each.
    """

    name: str
    about: str
    gives: str
    severity: Severity
    hold_on: timedelta = timedelta(0)
    hold_off: timedelta = timedelta(0)
    limits: Any = NoLimits()


class MachineRule(Rule, frozen=True, kw_only=True):
    """Judges machines one by one. `reads_status` rules are asked only while the machine answers.

    crowd: where more machines than this have the trouble at once, it is told once for the site, as
        "<count> machines <crowd_words>"; 0 tells each by itself, however many.
    """

    judge: Callable[[MachineView, SiteRound, Any], Verdict]
    reads_status: bool = True
    crowd: int = 0
    crowd_words: str = ""


class SiteRule(Rule, frozen=True, kw_only=True):
    """Judges a site as a whole, and may speak of racks, addresses and the agent.

    `judge` returns None where it can tell nothing of anybody: then all that is open stays.
    """

    judge: Callable[[SiteView, SiteRound, Any], Iterable[tuple[Subject, Verdict]] | None]


class CenterRule(Rule, frozen=True, kw_only=True):
    """Judges what only the center sees."""

    judge: Callable[[CenterView, CenterRound, Any], Iterable[tuple[Subject, Verdict]]]
