"""The connection to the records, and the one function that every statement passes.

A statement that does not name its organisation is refused before it runs: `scoped` puts the
organisation into it, and `across_organisations` says aloud, with a reason, that there is none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError

from redoubt.model.errors import InputError, ServiceError
from redoubt.model.ids import OrganisationId

BUSY_TIMEOUT_MS = 10_000
_SCOPE = "redoubt_scope"
_Statement = TypeVar("_Statement", bound=sa.Executable)


class Scoped:
    """Statements on behalf of one organisation. See `scoped`."""

    def __init__(self, organisation: OrganisationId) -> None:
        self.organisation = organisation

    def select(self, table: sa.Table, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """A select of `table` (or `columns`) within the organisation."""
        statement = sa.select(*(columns or (table,))).select_from(table)
        return self._mark(statement.where(table.c.organisation == self.organisation))

    def insert(self, table: sa.Table, **values: object) -> sa.Insert:
        """An insert whose organisation cannot be another; without values for executemany."""
        statement = sa.insert(table).values(organisation=self.organisation, **values)
        return self._mark(statement)

    def update(self, table: sa.Table, **values: object) -> sa.Update:
        statement = sa.update(table).where(table.c.organisation == self.organisation)
        return self._mark(statement.values(**values))

    def delete(self, table: sa.Table) -> sa.Delete:
        return self._mark(sa.delete(table).where(table.c.organisation == self.organisation))

    def _mark(self, statement: _Statement) -> _Statement:
        return statement.execution_options(**{_SCOPE: self.organisation})


def scoped(organisation: OrganisationId) -> Scoped:
    """The one way to a table: whatever comes of it reads and writes this organisation only."""
    return Scoped(organisation)


def across_organisations(statement: _Statement, reason: str) -> _Statement:
    """Mark a statement that has to find out the organisation, or serves the center as a whole."""
    return statement.execution_options(**{_SCOPE: f"across: {reason}"})


def open_engine(url: str) -> sa.Engine:
    """Return an engine on which only marked statements run."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "before_execute", _refuse_unscoped)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    return engine


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is committed at the end or leaves nothing.

    Raises ServiceError where the database fails, InputError where it does not take a value.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DataError as exc:
        raise InputError(f"the records do not take this: {exc.orig}") from exc
    except DBAPIError as exc:
        raise ServiceError(f"the records could not be written: {exc.orig}") from exc


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that reads one consistent state and waits for no writer."""
    try:
        with engine.connect().execution_options(redoubt_read=True) as connection:
            yield connection
    except DBAPIError as exc:
        raise ServiceError(f"the records could not be read: {exc.orig}") from exc


def _refuse_unscoped(
    _connection: sa.Connection,
    statement: Any,
    _multiparams: object,
    _params: object,
    execution_options: dict[str, Any],
) -> None:
    options = {**statement.get_execution_options(), **execution_options}
    if isinstance(statement, sa.ClauseElement) and _SCOPE not in options:
        raise AssertionError("a statement of the records did not pass scoped()")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, and late: a reader that turns into a writer
    # then fails at once instead of waiting.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("redoubt_read")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
