"""The register as TOML: one file with all tables, for people who keep it under version control.

A table that the file does not have keeps what is registered; of a table that it has, every row and
every value is meant as written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from redoubt.model.register import Register, Slot
from redoubt.model.register.columns import TABLES, Column, Table, table_named
from redoubt.model.register.csv_form import format_number
from redoubt.model.register.draft import (
    MAX_FILE_BYTES,
    MAX_ROWS,
    Draft,
    DraftRow,
    Problem,
    Problems,
    parse_row,
)

_ROW = re.compile(r"\s*\[\[\s*([\w-]+)\s*\]\]")
_KEY = re.compile(r"\s*([\w-]+)\s*=")
_MAX_KEY_PARTS = 8
"""More than any key of a register has: tomllib's work grows with the square of a key's parts."""
_QUOTED = re.compile(
    r"""
    "{3}(?:[^"\\]|\\[\s\S]|"(?!""))*+"{0,5}+    # each may lack its end, so that none is read twice
  | '{3}(?:[^']|'(?!''))*+'{0,5}+
  | "(?:[^"\\\n]|\\.)*+"?
  | '[^'\n]*+'?
  | \#[^\n]*+
    """,
    re.VERBOSE,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_MAX_KEY_PARTS}}}")
_SYNTAX = re.compile(r"(.*?)(?: \(at line (\d+), column \d+\))?", re.DOTALL)


def write_toml(register: Register) -> str:
    """Return a whole register; what is not known is left out."""
    lines = [f"# The register of {register.organisation}, version {register.version}."]
    for table in TABLES:
        rows = getattr(register, table.name)
        if not rows:
            # Said aloud, so that reading it back empties the table too.
            lines += ["", f"{table.name} = []"]
    for table in TABLES:
        for row in getattr(register, table.name):
            lines += ["", f"[[{table.name}]]", *_fields(table, row)]
    return "\n".join(lines) + "\n"


def read_toml(file: str, data: bytes) -> tuple[tuple[Draft, ...], tuple[Problem, ...]]:
    """Return the tables that a file holds and everything that is wrong in them."""
    problems = Problems()
    document = _document(file, data, problems)
    if document is None:
        return (), problems.listed()
    places = _places(data.decode())
    drafts = []
    for name, rows in document.items():
        table = table_named(name)
        if table is None:
            known = ", ".join(table.name for table in TABLES)
            line = next(iter(places.get(name, [])), (0, {}))[0]
            problems.add(file, line, name[:60], f"no such table: expected some of {known}")
        elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            problems.add(file, 0, name, f"expected rows, each after a line [[{name}]]")
        elif len(rows) > MAX_ROWS:
            problems.add(file, 0, name, f"expected at most {MAX_ROWS} rows")
        else:
            drafts.append(_draft(table, file, rows, places.get(name, []), problems))
    return tuple(drafts), problems.listed()


def _document(file: str, data: bytes, problems: Problems) -> dict[str, Any] | None:
    if len(data) > MAX_FILE_BYTES:
        problems.add(file, 0, "", f"expected at most {MAX_FILE_BYTES} bytes, got {len(data)}")
        return None
    try:
        text = data.decode()
        if line := _line_of_long_key(text):
            words = f"this is no register: a key has more than {_MAX_KEY_PARTS} parts"
            problems.add(file, line, "", words)
            return None
        return tomllib.loads(text)
    except UnicodeDecodeError as exc:
        problems.add(file, data[: exc.start].count(b"\n") + 1, "", "expected UTF-8")
    except ValueError as exc:
        match = _SYNTAX.fullmatch(str(exc))
        words, line = (match[1], int(match[2] or 0)) if match else (str(exc), 0)
        problems.add(file, line, "", f"this is no TOML: {words[:200]}")
    except RecursionError:
        problems.add(file, 0, "", "this is no register: it is nested too deeply")
    return None


def _line_of_long_key(text: str) -> int:
    """Return the line of a dotted key with too many parts, 0 where there is none."""
    bare = _QUOTED.sub(lambda match: "_" + "\n" * match.group().count("\n"), text)
    found = _LONG_KEY.search(bare)
    return 0 if found is None else bare.count("\n", 0, found.start()) + 1


def _draft(
    table: Table,
    file: str,
    rows: list[dict[str, Any]],
    places: list[tuple[int, dict[str, int]]],
    problems: Problems,
) -> Draft:
    known = {column.name for column in table.columns}
    drafts = []
    for number, raw in enumerate(rows):
        line, lines = places[number] if number < len(places) else (0, {})
        place = DraftRow(line, {}, lines)
        for name in raw:
            if name not in known:
                words = f"no such column in {table.name}"
                problems.add(file, place.line_of(name), name[:60], words)
        complete = {column.name: raw.get(column.name) for column in table.columns}
        drafts.append(parse_row(table, file, place, complete, problems))
    return Draft(table=table, file=file, rows=tuple(drafts))


def _places(text: str) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """Return the line of each row and of its keys, by table, as far as the layout shows them.

    tomllib does not tell; rows written inline stay without a line.
    """
    places: dict[str, list[tuple[int, dict[str, int]]]] = {}
    keys: dict[str, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if row := _ROW.match(line):
            keys = {}
            places.setdefault(row[1], []).append((number, keys))
        elif keys is not None and (key := _KEY.match(line)):
            keys.setdefault(key[1], number)
    return places


def _fields(table: Table, row: object) -> Iterator[str]:
    for column in table.columns:
        value = getattr(row, column.name)
        if _is_said(column, value):
            yield f"{column.name} = {_value(value)}"


def _is_said(column: Column, value: object) -> bool:
    return column.is_required or value != column.empty


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return format_number(value)
        case tuple():
            return f"[{', '.join(_value(part) for part in value)}]"
        case Slot():
            return f'"{value}"'
        case _:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
