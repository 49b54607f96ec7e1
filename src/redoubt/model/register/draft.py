"""A part of a register as somebody wrote it, with the place of every row, and what is wrong in it.

Reading never stops at the first problem: whoever mends a file wants to hear of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from redoubt.model.errors import InputError
from redoubt.model.register.columns import Table

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_ROWS = 200_000
MAX_PROBLEMS = 1_000


class Problem(msgspec.Struct, frozen=True):
    """What is wrong and where. `line` counts from 1 and is 0 where it is about the whole file."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.column, self.reason) if part)


class DraftRow(msgspec.Struct, frozen=True):
    """One row: its values by column name; columns that nobody wrote are not in it.

    `columns` tells the line of a value where that is another one than the row's.
    """

    line: int
    values: dict[str, Any]
    lines: dict[str, int] = {}

    def line_of(self, column: str) -> int:
        return self.lines.get(column, self.line)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one table from one file. `kept` are the columns that the file does not have:
    what is registered there stays."""

    table: Table
    file: str
    rows: tuple[DraftRow, ...]
    kept: frozenset[str] = frozenset()


class Problems:
    """A list of problems that stays readable."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._count = 0

    def add(self, file: str, line: int, column: str, reason: str) -> None:
        self._count += 1
        if self._count <= MAX_PROBLEMS:
            self._found.append(Problem(file, line, column, reason))

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem.file, problem.line, problem.column, problem.reason)

    def listed(self) -> tuple[Problem, ...]:
        """The first thousand, by place, and a last word on how many more there are."""
        found = sorted(self._found, key=lambda problem: (problem.file, problem.line))
        if self._count > MAX_PROBLEMS:
            found.append(Problem("", 0, "", f"{self._count - MAX_PROBLEMS} more are not listed"))
        return tuple(found)

    def __bool__(self) -> bool:
        return self._count > 0


def parse_row(
    table: Table, file: str, row: DraftRow, raw: dict[str, Any], problems: Problems
) -> DraftRow:
    """Return `row` with the values that `raw` means; None and "" mean that nothing is given."""
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name not in raw:
            continue
        given = raw[column.name]
        if given is None or (isinstance(given, str) and not given.strip()):
            values[column.name] = column.empty
            if column.is_required:
                problems.add(file, row.line_of(column.name), column.name, "expected a value")
            continue
        try:
            values[column.name] = column.parse(given)
        except InputError as exc:
            problems.add(file, row.line_of(column.name), column.name, str(exc))
    return DraftRow(row.line, values, row.lines)
