"""Findings in the records: one row per open period of (site, rule, subject), with people's notes.

Events come from whoever sees the evidence and may be repeated, by a batch that is delivered again
or a site that forgot its state in a restart. A period is therefore told by the rule, the subject
and the times in the event, never by how often something was said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from redoubt.edge.records.engine import reading, scoped, transaction
from redoubt.edge.records.tables import findings
from redoubt.model.errors import InputError
from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import OrganisationId, SiteId, check_id

MAX_PAGE = 500
MAX_NOTE = 2000
MAX_SUBJECT = 255
MAX_TITLE = 500
MAX_EVIDENCE_BYTES = 64 * 1024
"""Of a finding's evidence as it lies in its row."""
EVENTS_PER_TRANSACTION = 500
"""An event takes half a millisecond; others wait for the lock meanwhile."""
_EVIDENCE = msgspec.json.Decoder(tuple[Evidence, ...])


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finding where people see it. `site` is "" for what is about the center itself."""

    id: str
    site: SiteId
    finding: Finding
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    note: str | None = None


class FindingFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings to list; None means any. `is_open` False lists the resolved ones.

    `text` is looked for in titles and subjects, whatever the case.
    """

    site: SiteId | None = None
    is_open: bool | None = True
    severities: tuple[Severity, ...] = ()
    rule: str | None = None
    cause: str | None = None
    subject: Subject | None = None
    is_acknowledged: bool | None = None
    text: str | None = None


OPEN = FindingFilter()
"""Every finding that is open."""


class FindingPage(msgspec.Struct, frozen=True):
    """`total` counts what the filter matches on all pages."""

    findings: tuple[FindingRecord, ...]
    total: int


class Findings:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def apply_events(
        self, organisation: OrganisationId, site: SiteId, events: Iterable[FindingEvent]
    ) -> tuple[str, ...]:
        """Bring the rows up to the events; return the ids of those that changed.

        Applying the same events again changes nothing, also where a part of them was applied when
        the disk failed. Raises InputError, with nothing applied, where an event cannot be kept: a
        site may send anything.
        """
        events = tuple(events)
        for event in events:
            _check(event.finding)
        changed: dict[str, None] = {}
        for start in range(0, len(events), EVENTS_PER_TRANSACTION):
            with transaction(self._engine) as connection:
                for event in events[start : start + EVENTS_PER_TRANSACTION]:
                    row = _apply(connection, organisation, site, event)
                    if row is not None:
                        changed[row] = None
        return tuple(changed)

    def list(
        self,
        organisation: OrganisationId,
        matching: FindingFilter = OPEN,
        *,
        offset: int = 0,
        limit: int = 50,
    ) -> FindingPage:
        """One page: the gravest first, then the newest; at most 500 at once."""
        conditions = _conditions(matching)
        scope = scoped(organisation)
        page = (
            scope.select(findings)
            .where(*conditions)
            .order_by(_SEVERITY_RANK, findings.c.opened_at.desc(), findings.c.id)
        )
        count = scope.select(findings, sa.func.count()).where(*conditions)
        with reading(self._engine) as connection:
            total = connection.execute(count).scalar_one()
            rows = connection.execute(page.offset(offset).limit(min(limit, MAX_PAGE)))
            return FindingPage(tuple(_record(row) for row in rows), total)

    def get(self, organisation: OrganisationId, finding: str) -> FindingRecord | None:
        statement = scoped(organisation).select(findings).where(findings.c.id == finding)
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _record(row)

    def open(self, organisation: OrganisationId, site: SiteId | None = None) -> tuple[Finding, ...]:
        """Every open finding, of one site or of all: what a FindingBook begins with."""
        statement = scoped(organisation).select(findings).where(findings.c.resolved_at.is_(None))
        if site is not None:
            statement = statement.where(findings.c.site == site)
        with reading(self._engine) as connection:
            return tuple(_record(row).finding for row in connection.execute(statement))

    def count_open(self, organisation: OrganisationId) -> dict[tuple[SiteId, Severity], int]:
        """How many findings are open, by site and severity; places with none are left out."""
        statement = (
            scoped(organisation)
            .select(findings, findings.c.site, findings.c.severity, sa.func.count().label("n"))
            .where(findings.c.resolved_at.is_(None))
            .group_by(findings.c.site, findings.c.severity)
        )
        with reading(self._engine) as connection:
            return {
                (SiteId(row.site), Severity(row.severity)): row.n
                for row in connection.execute(statement)
            }

    def acknowledge(
        self, organisation: OrganisationId, finding: str, who: str, note: str, now: datetime
    ) -> FindingRecord:
        """Note that somebody has seen it; a second time renews the note.

        Raises InputError where there is no such finding or the note is over 2,000 characters.
        """
        if len(note) > MAX_NOTE:
            raise InputError(f"expected a note of at most {MAX_NOTE} characters, got {len(note)}")
        return self._annotate(
            organisation,
            finding,
            acknowledged_by=who,
            acknowledged_at=now,
            note=note.strip() or None,
        )

    def unacknowledge(self, organisation: OrganisationId, finding: str) -> FindingRecord:
        """Raises InputError where there is no such finding."""
        return self._annotate(
            organisation, finding, acknowledged_by=None, acknowledged_at=None, note=None
        )

    def _annotate(
        self, organisation: OrganisationId, finding: str, **columns: object
    ) -> FindingRecord:
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            connection.execute(scope.update(findings, **columns).where(findings.c.id == finding))
            row = connection.execute(scope.select(findings).where(findings.c.id == finding)).first()
            if row is None:
                raise InputError(f"no finding {finding[:80]!r} here")
            return _record(row)


def _check(finding: Finding) -> None:
    """Raises InputError where a finding is not of a kind that any rule makes."""
    check_id(finding.rule, "rule")
    check_id(finding.cause, "cause")
    for what, text, most in (
        ("subject", finding.subject.id, MAX_SUBJECT),
        ("title", finding.title, MAX_TITLE),
    ):
        if not 1 <= len(text) <= most or "\0" in text:
            raise InputError(f"expected a {what} of 1 to {most} characters, got {len(text)}")
    size = len(msgspec.json.encode(finding.evidence))
    if size > MAX_EVIDENCE_BYTES:
        raise InputError(f"expected evidence of at most {MAX_EVIDENCE_BYTES} bytes, got {size}")
    times = [finding.began_at, finding.opened_at, finding.seen_at, finding.resolved_at]
    times += [fact.at for fact in finding.evidence]
    if any(at is not None and at.tzinfo is None for at in times):
        raise InputError("expected times with their zone in a finding")


_SEVERITY_RANK = sa.case(
    {severity.value: rank for rank, severity in enumerate(Severity)}, value=findings.c.severity
)


def _apply(
    connection: sa.Connection, organisation: OrganisationId, site: SiteId, event: FindingEvent
) -> str | None:
    """Apply one event to the newest period of its finding; return the row's id if it changed."""
    scope, finding = scoped(organisation), event.finding
    newest = connection.execute(
        scope.select(findings)
        .where(*_is_about(site, finding))
        .order_by(findings.c.opened_at.desc())
        .limit(1)
    ).first()
    if newest is not None and _is_older(newest, finding):
        return None
    if newest is None or newest.resolved_at is not None:
        row = _columns(organisation, site, event)
        connection.execute(scope.insert(findings, **row))
        return str(row["id"])
    columns = _columns(organisation, site, event)
    for kept in ("id", "opened_at", "began_at"):
        del columns[kept]
    if all(getattr(newest, name) == value for name, value in columns.items()):
        return None
    connection.execute(scope.update(findings, **columns).where(findings.c.id == newest.id))
    return str(newest.id)


def _is_older(newest: sa.Row[Any], finding: Finding) -> bool:
    """Whether what a finding says is known already.

    A period that was resolved is over for good: what opens later than its end is a new one. An open
    period goes on until it is resolved, even if a site that restarted says it opens now.
    """
    if newest.resolved_at is not None:
        return bool(finding.opened_at <= newest.resolved_at)
    return bool(finding.seen_at < newest.seen_at)


def _is_about(site: SiteId, finding: Finding) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        findings.c.site == site,
        findings.c.rule == finding.rule,
        findings.c.subject_kind == finding.subject.kind,
        findings.c.subject_id == finding.subject.id,
    )


def _columns(organisation: OrganisationId, site: SiteId, event: FindingEvent) -> dict[str, object]:
    finding = event.finding
    resolved_at = finding.resolved_at
    if event.change is FindingChange.RESOLVED and resolved_at is None:
        resolved_at = finding.seen_at
    return {
        "id": finding_id(organisation, site, finding),
        "site": site,
        "rule": finding.rule,
        "subject_kind": finding.subject.kind.value,
        "subject_id": finding.subject.id,
        "severity": finding.severity.value,
        "title": finding.title,
        "cause": finding.cause,
        "evidence": msgspec.json.encode(finding.evidence).decode(),
        "confidence": finding.confidence,
        "began_at": finding.began_at,
        "opened_at": finding.opened_at,
        "seen_at": finding.seen_at,
        "resolved_at": resolved_at,
    }


def finding_id(organisation: OrganisationId, site: SiteId, finding: Finding) -> str:
    """Return the id of a period: the same from the same event, and safe in a URL."""
    parts: Sequence[str] = (
        organisation, site, finding.rule, str(finding.subject), finding.opened_at.isoformat()
    )  # fmt: skip
    return "f-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _conditions(matching: FindingFilter) -> list[sa.ColumnElement[bool]]:
    column = findings.c
    wanted: list[sa.ColumnElement[bool]] = []
    for name in ("site", "rule", "cause"):
        value = getattr(matching, name)
        if value is not None:
            wanted.append(column[name] == value)
    if matching.is_open is not None:
        wanted.append(column.resolved_at.is_(None) == matching.is_open)
    if matching.is_acknowledged is not None:
        wanted.append(column.acknowledged_at.is_not(None) == matching.is_acknowledged)
    if matching.severities:
        wanted.append(column.severity.in_([severity.value for severity in matching.severities]))
    if matching.subject is not None:
        wanted.append(column.subject_kind == matching.subject.kind.value)
        wanted.append(column.subject_id == matching.subject.id)
    if matching.text:
        wanted.append(
            column.title.icontains(matching.text, autoescape=True)
            | column.subject_id.icontains(matching.text, autoescape=True)
        )
    return wanted


def _record(row: sa.Row[Any]) -> FindingRecord:
    return FindingRecord(
        id=row.id,
        site=SiteId(row.site),
        finding=Finding(
            rule=row.rule,
            subject=Subject(SubjectKind(row.subject_kind), row.subject_id),
            severity=Severity(row.severity),
            title=row.title,
            cause=row.cause,
            evidence=_EVIDENCE.decode(row.evidence),
            confidence=row.confidence,
            began_at=row.began_at,
            opened_at=row.opened_at,
            seen_at=row.seen_at,
            resolved_at=row.resolved_at,
        ),
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        note=row.note,
    )
