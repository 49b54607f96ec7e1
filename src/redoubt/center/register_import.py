"""Import files into a register: planned, checked, saved and noted, by the API or the console."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from redoubt.edge.records import Records
from redoubt.edge.records.audit import AuditEntry
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId
from redoubt.model.register import Register
from redoubt.model.register.changes import FileText, Plan, TableChanges, plan_files
from redoubt.model.register.draft import Problem


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did or would do; with any problem it did nothing.

    `version` is the register's version afterwards. `warnings` are sentences about what hinders no
    import, and somebody may not have meant.
    """

    version: int
    changes: tuple[TableChanges, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def preview_files(
    records: Records, organisation: OrganisationId, files: Sequence[FileText]
) -> ImportReport:
    """Return what importing `files` would do. It blocks."""
    register = records.register.load(organisation)
    plan, problems = plan_files(register, files)
    if plan is None:
        return ImportReport(version=register.version, problems=problems)
    warnings = _warnings(records, register, plan)
    return ImportReport(version=register.version, changes=plan.changes, warnings=warnings)


def import_files(
    records: Records,
    organisation: OrganisationId,
    files: Sequence[FileText],
    who: str,
    now: datetime,
    expected_version: int | None = None,
) -> ImportReport:
    """Import `files` as one change. It blocks.

    Raises InputError where the register is not at `expected_version`, or changes meanwhile.
    """
    register = records.register.load(organisation)
    if expected_version is not None and expected_version != register.version:
        raise InputError(
            f"the register is at version {register.version}, the preview was made from version "
            f"{expected_version}: look at the preview again"
        )
    plan, problems = plan_files(register, files)
    if plan is None:
        return ImportReport(version=register.version, problems=problems)
    if plan.is_empty:
        return ImportReport(version=register.version)
    warnings = _warnings(records, register, plan)
    version = records.register.save(plan.register, who, now)
    entry = AuditEntry(
        at=now,
        who=who,
        action="register.import",
        object=f"register:{version}",
        text="; ".join(_words(change) for change in plan.changes),
    )
    records.audit.add(organisation, entry)
    return ImportReport(version=version, changes=plan.changes, warnings=warnings)


def _warnings(records: Records, register: Register, plan: Plan) -> tuple[str, ...]:
    removed = {site.id for site in register.sites} - {site.id for site in plan.register.sites}
    return tuple(
        f"site {agent.site} is removed, and its agent {agent.agent} may still come in: revoke it "
        "if the site is gone"
        for agent in records.agents.list(register.organisation)
        if agent.site in removed and agent.revoked_at is None
    )


def _words(change: TableChanges) -> str:
    return (
        f"{change.table}: {len(change.added)} added, {len(change.changed)} changed, "
        f"{len(change.removed)} removed"
    )
