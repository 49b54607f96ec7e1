"""The audit log: who changed what, and when. Entries are added and read, never changed."""

from __future__ import annotations

import itertools
import secrets
from datetime import datetime

import msgspec
import sqlalchemy as sa

from redoubt.edge.records.engine import reading, scoped, transaction
from redoubt.edge.records.tables import audit
from redoubt.model.ids import OrganisationId

MAX_PAGE = 500


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`who` is "user:<id>", "token:<id>" or "console"; `action` a stable word."""

    at: datetime
    who: str
    action: str
    object: str
    text: str = ""


class Audit:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._count = itertools.count()

    def add(self, organisation: OrganisationId, entry: AuditEntry) -> None:
        # Sorts by time and then as it was told; two processes never make the same key.
        count = next(self._count) % 2**32
        key = f"{int(entry.at.timestamp() * 1e6):016x}{count:08x}{secrets.token_hex(4)}"
        columns = msgspec.structs.asdict(entry)
        with transaction(self._engine) as connection:
            connection.execute(scoped(organisation).insert(audit, entry=key, **columns))

    def list(
        self, organisation: OrganisationId, before: datetime | None = None, limit: int = 100
    ) -> tuple[AuditEntry, ...]:
        """The newest entries first; `before` is the `at` of the last one of the page above."""
        statement = scoped(organisation).select(audit).order_by(audit.c.entry.desc())
        if before is not None:
            statement = statement.where(audit.c.at < before)
        with reading(self._engine) as connection:
            rows = connection.execute(statement.limit(min(limit, MAX_PAGE)))
            return tuple(
                AuditEntry(
                    at=row.at, who=row.who, action=row.action, object=row.object, text=row.text
                )
                for row in rows
            )
