"""A finding: a difference between two books, or between a book and the register, with evidence.

There is one finding per (rule, subject) at a time. Whoever sees the evidence (a site, or the
center) opens it, updates it and resolves it; people acknowledge and annotate, they do not resolve.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

Scalar = str | int | float | bool | None


class Severity(StrEnum):
    """How soon somebody should look: critical now, high today, medium this week, low, info."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class SubjectKind(StrEnum):
    MACHINE = "machine"
    ADDRESS = "address"
    RACK = "rack"
    SITE = "site"
    AGENT = "agent"
    CENTER = "center"


class Subject(msgspec.Struct, frozen=True, order=True):
    """What a finding is about; `id` is the register's id, or the address of something unknown."""

    kind: SubjectKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Evidence(msgspec.Struct, frozen=True):
    """One fact that a finding rests on: which book said it, when, in words and in numbers.

    Keys of `values` carry their units (`hashrate_hs`, `temp_chip_max_c`).
    """

    book: str
    at: datetime
    text: str
    values: dict[str, Scalar] = {}


class Observation(msgspec.Struct, frozen=True):
    """What a rule says about a subject at this moment: something is the matter, and why.

    `cause` is a short stable word that pages group by ("hot", "fan_lost", "no_reply"). `since` is
    when the trouble began, where the rule knows that better than "when I first saw it".
    """

    rule: str
    subject: Subject
    severity: Severity
    title: str
    cause: str
    evidence: tuple[Evidence, ...]
    confidence: float = 1.0
    since: datetime | None = None

    @property
    def key(self) -> tuple[str, Subject]:
        return (self.rule, self.subject)


class FindingChange(StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """An observation with a life: `began_at` is when it began, `opened_at` when we said so.

    A finding that comes back after it was resolved is opened again with a new `opened_at`.
    """

    rule: str
    subject: Subject
    severity: Severity
    title: str
    cause: str
    evidence: tuple[Evidence, ...]
    confidence: float
    began_at: datetime
    opened_at: datetime
    seen_at: datetime
    resolved_at: datetime | None = None

    @property
    def key(self) -> tuple[str, Subject]:
        return (self.rule, self.subject)


class FindingEvent(msgspec.Struct, frozen=True):
    """One step of a finding's life, as it travels from a site to the center."""

    change: FindingChange
    finding: Finding
