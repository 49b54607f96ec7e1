"""What an import would do to the register: planned whole, shown to people, applied or not at all.

`plan_import` joins the tables that were read with what is registered, checks the whole (references,
slots, identifiers that must be one machine's), and answers with the new register and every
difference, or with every problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from redoubt.model.register import Register
from redoubt.model.register.columns import TABLES, Table
from redoubt.model.register.csv_form import format_number, read_csv
from redoubt.model.register.draft import Draft, DraftRow, Problem, Problems
from redoubt.model.register.toml_form import read_toml

_REFERENCES = {
    "buildings": {"site": "sites"},
    "racks": {"building": "buildings"},
    "machines": {"site": "sites", "rack": "racks", "owner": "owners", "pool": "pools"},
}
_UNIQUE = ("serial", "mac", "control_board_serial")

Place = tuple[str, DraftRow]


class FieldChange(msgspec.Struct, frozen=True):
    """One value that would be another; both as they are written in a cell, None where empty."""

    name: str
    before: str | None
    after: str | None


class RowChange(msgspec.Struct, frozen=True):
    id: str
    fields: tuple[FieldChange, ...]


class TableChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen in one table; ids in order."""

    table: str
    added: tuple[str, ...] = ()
    changed: tuple[RowChange, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Plan(msgspec.Struct, frozen=True):
    """The register after an import, still at the version that it was planned from."""

    register: Register
    changes: tuple[TableChanges, ...]

    @property
    def is_empty(self) -> bool:
        return not self.changes


class FileText(msgspec.Struct, frozen=True):
    """A file to import: `name` says what it is (`machines.csv`, `anything.toml`)."""

    name: str
    data: bytes


def plan_files(
    current: Register, files: Sequence[FileText]
) -> tuple[Plan | None, tuple[Problem, ...]]:
    """Return what importing `files` together would do, or None and every problem in them."""
    problems = Problems()
    drafts: list[Draft] = []
    for file in files:
        if file.name.lower().endswith(".toml"):
            found, wrong = read_toml(file.name, file.data)
            drafts.extend(found)
        else:
            draft, wrong = read_csv(file.name, file.data)
            drafts.extend([draft] if draft else [])
        problems.extend(wrong)
    if not files:
        problems.add("", 0, "", "expected at least one file")
    plan, wrong = plan_import(current, drafts)
    problems.extend(wrong)
    return (None if problems else plan), problems.listed()


def plan_import(
    current: Register, drafts: Iterable[Draft]
) -> tuple[Plan | None, tuple[Problem, ...]]:
    """Return what these tables would do to `current`, or None and every problem among them.

    A table in `drafts` replaces the registered one; the others stay as they are.
    """
    problems = Problems()
    by_table: dict[str, Draft] = {}
    for draft in drafts:
        if draft.table.name in by_table:
            words = f"{draft.table.name} are in {by_table[draft.table.name].file!r} already"
            problems.add(draft.file, 0, "", words)
        by_table.setdefault(draft.table.name, draft)
    tables: dict[str, tuple[Any, ...]] = {}
    places: dict[tuple[str, str], Place] = {}
    for table in TABLES:
        registered = getattr(current, table.name)
        found = by_table.get(table.name)
        tables[table.name] = (
            registered if found is None else _build(found, registered, places, problems)
        )
    _check_references(tables, by_table, places, problems)
    _check_slots(tables, places, problems)
    _check_identifiers(tables, places, problems)
    if problems:
        return None, problems.listed()
    register = msgspec.structs.replace(current, **tables)
    return Plan(register, compare(current, register)), ()


def compare(before: Register, after: Register) -> tuple[TableChanges, ...]:
    """Return the tables that differ, with how."""
    changes = (
        _compare_table(table, getattr(before, table.name), getattr(after, table.name))
        for table in TABLES
    )
    return tuple(change for change in changes if change)


# -- building and checking ---------------------------------------------------------------------


def _build(
    draft: Draft,
    registered: Sequence[Any],
    places: dict[tuple[str, str], Place],
    problems: Problems,
) -> tuple[Any, ...]:
    """Return the rows of a draft as nouns, sorted; broken rows have been told and are left out."""
    known = {row.id: row for row in registered}
    built: dict[str, Any] = {}
    for row in draft.rows:
        key = row.values.get("id")
        if key is None:
            continue
        if key in built or (draft.table.name, key) in places:
            first = places[draft.table.name, key][1].line
            words = f"{draft.table.one} {key!r} is there twice, first in line {first}"
            problems.add(draft.file, row.line_of("id"), "id", words)
            continue
        places[draft.table.name, key] = (draft.file, row)
        values = _complete(draft, row, known.get(key), problems)
        if values is not None:
            built[key] = draft.table.noun(**values)
    return tuple(built[key] for key in sorted(built))


def _complete(
    draft: Draft, row: DraftRow, registered: Any, problems: Problems
) -> dict[str, Any] | None:
    """Return a value for every column, or None where one is missing."""
    values = dict(row.values)
    for column in draft.table.columns:
        if column.name in values:
            continue
        if column.name not in draft.kept:
            return None  # It was there and could not be read, which has been told.
        if registered is not None:
            values[column.name] = getattr(registered, column.name)
        elif column.is_required:
            words = f"expected this column, because {draft.table.one} {values['id']!r} is new"
            problems.add(draft.file, row.line, column.name, words)
            return None
        else:
            values[column.name] = column.empty
    return values


def _check_references(
    tables: dict[str, tuple[Any, ...]],
    drafts: dict[str, Draft],
    places: dict[tuple[str, str], Place],
    problems: Problems,
) -> None:
    """A row that could not be read is no missing one: it has been told of where it stands."""
    ids = {
        table.name: {row.id for row in tables[table.name]}
        | {key for name, key in places if name == table.name}
        for table in TABLES
    }
    ones = {table.name: table.one for table in TABLES}
    for name, references in _REFERENCES.items():
        for row in tables[name]:
            for column, target in references.items():
                wanted = getattr(row, column)
                if wanted is None or wanted in ids[target]:
                    continue
                one, place = ones[target], places.get((name, row.id))
                if place is not None:
                    words = f"no {one} {wanted!r} is registered or imported"
                    problems.add(place[0], place[1].line_of(column), column, words)
                else:
                    file = drafts[target].file if target in drafts else ""
                    words = f"{one} {wanted!r} is left out: {ones[name]} {row.id!r} needs it"
                    problems.add(file, 0, "id", words)


def _check_slots(
    tables: dict[str, tuple[Any, ...]],
    places: dict[tuple[str, str], Place],
    problems: Problems,
) -> None:
    racks = {rack.id: rack for rack in tables["racks"]}
    sites = {building.id: building.site for building in tables["buildings"]}
    taken: dict[tuple[str, Any], str] = {}
    for machine in tables["machines"]:
        words, column = "", "slot"
        rack = racks.get(machine.rack)
        if machine.slot is not None and machine.rack is None:
            words = "a slot needs a rack"
        elif rack is not None and sites.get(rack.building, machine.site) != machine.site:
            column = "rack"
            words = f"rack {rack.id!r} is at site {sites[rack.building]!r}, not {machine.site!r}"
        elif rack is not None and machine.slot is not None:
            slot = machine.slot
            if slot.level > rack.levels or slot.position > rack.positions:
                words = f"rack {rack.id!r} has {rack.levels} levels of {rack.positions} positions"
            other = taken.setdefault((rack.id, slot), machine.id)
            if other != machine.id:
                words = f"machine {other!r} is in slot {slot} of rack {rack.id!r} already"
        if words:
            _tell(places, machine, column, words, problems)


def _check_identifiers(
    tables: dict[str, tuple[Any, ...]],
    places: dict[tuple[str, str], Place],
    problems: Problems,
) -> None:
    owners: dict[tuple[str, str], str] = {}
    for machine in tables["machines"]:
        for column in _UNIQUE:
            value = getattr(machine, column)
            other = owners.setdefault((column, value), machine.id) if value else machine.id
            if other != machine.id:
                words = f"machine {other!r} has the same: {value!r}"
                _tell(places, machine, column, words, problems)


def _tell(
    places: dict[tuple[str, str], Place],
    machine: Any,
    column: str,
    words: str,
    problems: Problems,
) -> None:
    place = places.get(("machines", machine.id))
    if place is None:
        problems.add("", 0, column, f"machine {machine.id!r} as registered: {words}")
    else:
        problems.add(place[0], place[1].line_of(column), column, words)


# -- comparing -----------------------------------------------------------------------------------


def _compare_table(table: Table, before: Sequence[Any], after: Sequence[Any]) -> TableChanges:
    old = {row.id: row for row in before}
    new = {row.id: row for row in after}
    both = sorted(old.keys() & new.keys())
    return TableChanges(
        table=table.name,
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(
            RowChange(key, _compare_row(table, old[key], new[key]))
            for key in both
            if old[key] != new[key]
        ),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def _compare_row(table: Table, old: Any, new: Any) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(column.name, _words(before), _words(after))
        for column in table.columns
        for before, after in [(getattr(old, column.name), getattr(new, column.name))]
        if before != after
    )


def _words(value: Any) -> str | None:
    if isinstance(value, tuple):
        return ";".join(value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_number(value)
    return None if value is None else str(value)
