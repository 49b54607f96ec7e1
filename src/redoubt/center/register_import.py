"""Import files into a register: planned, checked, saved and noted, by the API or the console."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from redoubt.edge.records import Records
from redoubt.edge.records.audit import AuditEntry
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId
from redoubt.model.register.changes import FileText, TableChanges, plan_files
from redoubt.model.register.draft import Problem


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did or would do; with any problem it did nothing.

    `version` is the register's version afterwards.
    """

    version: int
    changes: tuple[TableChanges, ...] = ()
    problems: tuple[Problem, ...] = ()


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
    version = records.register.save(plan.register, who, now)
    entry = AuditEntry(
        at=now,
        who=who,
        action="register.import",
        object=f"register:{version}",
        text="; ".join(_words(change) for change in plan.changes),
    )
    records.audit.add(organisation, entry)
    return ImportReport(version=version, changes=plan.changes)


def _words(change: TableChanges) -> str:
    return (
        f"{change.table}: {len(change.added)} added, {len(change.changed)} changed, "
        f"{len(change.removed)} removed"
    )
