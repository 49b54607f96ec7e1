"""Findings as lists and pages show them: the record, its subject's place, and who has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

import msgspec

from redoubt.edge.records.findings import FindingPage, FindingRecord
from redoubt.model.finding import Evidence, Severity, SubjectKind
from redoubt.model.ids import SiteId
from redoubt.model.register import Register


class SeverityCount(msgspec.Struct, frozen=True):
    severity: str
    count: int


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finding in a list. `href` is where its subject is shown; "" where nowhere."""

    id: str
    site: str
    site_name: str
    virtual: bool
    rule: str
    severity: str
    title: str
    cause: str
    subject_kind: str
    subject_id: str
    href: str
    began_at: datetime
    opened_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None


class FindingDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One finding with its evidence, `confidence` 0 to 1, and people's note."""

    row: FindingRow
    confidence: float
    evidence: tuple[Evidence, ...]
    note: str | None


class FindingList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of findings; `total` counts all pages."""

    rows: tuple[FindingRow, ...]
    total: int
    offset: int
    limit: int


def list_findings(page: FindingPage, register: Register, offset: int, limit: int) -> FindingList:
    return FindingList(
        rows=tuple(finding_row(record, register) for record in page.findings),
        total=page.total,
        offset=offset,
        limit=limit,
    )


def finding_row(
    record: FindingRecord, register: Register, names: Mapping[str, str] | None = None
) -> FindingRow:
    """Return a row. `names` gives people's names for who acknowledged ("user:…")."""
    finding = record.finding
    site = next((site for site in register.sites if site.id == record.site), None)
    who = record.acknowledged_by
    return FindingRow(
        id=record.id,
        site=record.site,
        site_name=site.name if site is not None else record.site or "control center",
        virtual=site.virtual if site is not None else False,
        rule=finding.rule,
        severity=finding.severity.value,
        title=finding.title,
        cause=finding.cause,
        subject_kind=finding.subject.kind.value,
        subject_id=finding.subject.id,
        href=_href(finding.subject.kind, finding.subject.id, record.site),
        began_at=finding.began_at,
        opened_at=finding.opened_at,
        seen_at=finding.seen_at,
        resolved_at=finding.resolved_at,
        acknowledged_by=(names or {}).get(who, who) if who is not None else None,
        acknowledged_at=record.acknowledged_at,
    )


def finding_detail(
    record: FindingRecord, register: Register, names: Mapping[str, str] | None = None
) -> FindingDetail:
    return FindingDetail(
        row=finding_row(record, register, names),
        confidence=record.finding.confidence,
        evidence=record.finding.evidence,
        note=record.note,
    )


def count_severities(
    open_counts: Mapping[tuple[SiteId, Severity], int],
) -> tuple[SeverityCount, ...]:
    """Return how many findings are open by severity, the gravest first; none left out."""
    counts = dict.fromkeys(Severity, 0)
    for (_, severity), number in open_counts.items():
        counts[severity] += number
    return tuple(SeverityCount(severity.value, number) for severity, number in counts.items())


def _href(kind: SubjectKind, subject: str, site: str) -> str:
    subject, site = quote(subject, safe=""), quote(site, safe="")
    if kind is SubjectKind.MACHINE:
        return f"/machines/{subject}"
    if kind is SubjectKind.RACK:
        return f"/machines?site={site}&rack={subject}"
    if kind in (SubjectKind.SITE, SubjectKind.AGENT, SubjectKind.ADDRESS) and site:
        return f"/sites/{site}"
    return ""
