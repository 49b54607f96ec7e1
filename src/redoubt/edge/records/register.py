"""The register in the records: one row per noun, and a version that grows with each change.

A change is written as the difference between two registers, in one transaction that begins by
asking whether the version is still the one that the difference was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from redoubt.edge.records import tables
from redoubt.edge.records.engine import across_organisations, reading, scoped, transaction
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register import (
    Building,
    Machine,
    Owner,
    Pool,
    Rack,
    Register,
    RegisterSlice,
    Site,
    Slot,
    slice_register,
)

_Noun = TypeVar("_Noun", bound=msgspec.Struct)

_TABLES: dict[str, tuple[sa.Table, type[msgspec.Struct]]] = {
    "owners": (tables.owners, Owner),
    "pools": (tables.pools, Pool),
    "sites": (tables.sites, Site),
    "buildings": (tables.buildings, Building),
    "racks": (tables.racks, Rack),
    "machines": (tables.machines, Machine),
}
_CHUNK = 500
"""Ids in one IN list; databases bound the number of parameters."""


class Registers:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def load(self, organisation: OrganisationId) -> Register:
        """Return the whole register; version 0 and empty where nothing was registered yet."""
        with reading(self._engine) as connection:
            return _load(connection, organisation)

    def version(self, organisation: OrganisationId) -> int:
        with reading(self._engine) as connection:
            return _version(connection, organisation)

    def versions(self) -> dict[OrganisationId, int]:
        """The version of every register, for the job that wakes agents."""
        table = tables.register_versions
        statement = across_organisations(
            sa.select(table.c.organisation, table.c.version), "the job that wakes agents"
        )
        with reading(self._engine) as connection:
            return {
                OrganisationId(row.organisation): row.version
                for row in connection.execute(statement)
            }

    def sites(self, organisation: OrganisationId) -> tuple[Site, ...]:
        with reading(self._engine) as connection:
            return _rows(connection, organisation, tables.sites, Site)

    def site(self, organisation: OrganisationId, site: SiteId) -> Site | None:
        return next((known for known in self.sites(organisation) if known.id == site), None)

    def slice(
        self, organisation: OrganisationId, site: SiteId, made_at: datetime
    ) -> RegisterSlice | None:
        """Return what the agent of a site works by; None where there is no such site."""
        register = self.load(organisation)
        found = next((known for known in register.sites if known.id == site), None)
        return None if found is None else slice_register(register, found, made_at)

    def save(self, register: Register, who: str, now: datetime) -> int:
        """Make `register` the register and return its new version.

        `register.version` is the version that it was made from. Raises InputError where the
        register has changed meanwhile.
        """
        organisation = register.organisation
        with transaction(self._engine) as connection:
            current = _load(connection, organisation)
            if current.version != register.version:
                raise InputError(
                    f"the register was changed meanwhile: it is at version {current.version}, "
                    f"this was made from version {register.version}; look at the preview again"
                )
            for name, (table, _noun) in _TABLES.items():
                _save_table(
                    connection, organisation, table, getattr(current, name), getattr(register, name)
                )
            return _advance(connection, organisation, current.version, who, now)

    def skip_versions(self, count: int) -> None:
        """Raise every register's version: after a restore, sites may hold newer ones."""
        table = tables.register_versions
        statement = sa.update(table).values(version=table.c.version + count)
        with transaction(self._engine) as connection:
            connection.execute(across_organisations(statement, "a restored center"))


def _load(connection: sa.Connection, organisation: OrganisationId) -> Register:
    nouns: dict[str, Any] = {
        name: _rows(connection, organisation, table, noun)
        for name, (table, noun) in _TABLES.items()
    }
    return Register(organisation=organisation, version=_version(connection, organisation), **nouns)


def _version(connection: sa.Connection, organisation: OrganisationId) -> int:
    table = tables.register_versions
    row = connection.execute(scoped(organisation).select(table, table.c.version)).first()
    return 0 if row is None else row.version


def _advance(
    connection: sa.Connection, organisation: OrganisationId, version: int, who: str, now: datetime
) -> int:
    scope, table = scoped(organisation), tables.register_versions
    columns = {"version": version + 1, "changed_at": now, "changed_by": who}
    if not connection.execute(scope.update(table, **columns)).rowcount:
        connection.execute(scope.insert(table, **columns))
    return version + 1


def _rows(
    connection: sa.Connection, organisation: OrganisationId, table: sa.Table, noun: type[_Noun]
) -> tuple[_Noun, ...]:
    rows = connection.execute(scoped(organisation).select(table)).mappings()
    # By code point, as Python sorts, whatever order the database's collation knows.
    return tuple(sorted((_from_row(row, noun) for row in rows), key=lambda row: row.id))  # type: ignore[attr-defined]


def _from_row(row: sa.RowMapping, noun: type[_Noun]) -> _Noun:
    columns: dict[str, Any] = {name: row[name] for name in noun.__struct_fields__}
    if columns.get("slot") is not None:
        level, _, position = columns["slot"].partition("-")
        columns["slot"] = Slot(int(level), int(position))
    if "hashboard_serials" in columns:
        columns["hashboard_serials"] = tuple(msgspec.json.decode(columns["hashboard_serials"]))
    return noun(**columns)


def _to_row(value: msgspec.Struct) -> dict[str, Any]:
    columns = msgspec.structs.asdict(value)
    if columns.get("slot") is not None:
        columns["slot"] = str(columns["slot"])
    if "hashboard_serials" in columns:
        columns["hashboard_serials"] = msgspec.json.encode(columns["hashboard_serials"]).decode()
    return columns


def _save_table(
    connection: sa.Connection,
    organisation: OrganisationId,
    table: sa.Table,
    before: Sequence[Any],
    after: Sequence[Any],
) -> None:
    """Write the rows that differ: a changed row is taken out and put in again."""
    scope = scoped(organisation)
    old = {row.id: row for row in before}
    new = {row.id: row for row in after}
    gone = [key for key, row in old.items() if new.get(key) != row]
    come = [_to_row(row) for key, row in new.items() if old.get(key) != row]
    for at in range(0, len(gone), _CHUNK):
        connection.execute(scope.delete(table).where(table.c.id.in_(gone[at : at + _CHUNK])))
    if come:
        connection.execute(scope.insert(table), come)
