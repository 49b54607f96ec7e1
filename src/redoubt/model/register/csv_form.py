"""The register as CSV: a file per table (`machines.csv`, `racks.csv` …), for spreadsheets.

Written by RFC 4180 with a header; read with comma, semicolon or tab, with or without a byte order
mark. A text that a spreadsheet would run as a formula is written with an apostrophe before it,
which reading takes away again. A column that a file leaves out keeps what is registered.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

from redoubt.model.register import Register, Slot
from redoubt.model.register.columns import TABLES, Table, table_named
from redoubt.model.register.draft import (
    MAX_FILE_BYTES,
    MAX_ROWS,
    Draft,
    DraftRow,
    Problem,
    Problems,
    parse_row,
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_GUARDED = (*_FORMULA, "'")
_MAX_COLUMNS = 64
"""Several times as many as any table has."""


def write_csv(register: Register, table: Table) -> str:
    """Return one table of a register."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for row in getattr(register, table.name):
        writer.writerow([_cell(getattr(row, column.name)) for column in table.columns])
    return sink.getvalue()


def read_csv(file: str, data: bytes) -> tuple[Draft | None, tuple[Problem, ...]]:
    """Return the table that a file holds, or None, and everything that is wrong in it.

    The file's name says which table it is.
    """
    problems = Problems()
    table = _table_of(file)
    if table is None:
        names = ", ".join(f"{known.name}.csv" for known in TABLES)
        problems.add(file, 0, "", f"expected the file to be named one of {names}")
        return None, problems.listed()
    text = _decode(file, data, problems)
    if text is None:
        return None, problems.listed()
    records = _records(file, text, problems)
    first = next(records, None)
    if first is None:
        if not problems:
            problems.add(file, 1, "", "expected a header line, got an empty file")
        return None, problems.listed()
    header = [name.strip().lower() for name in first[1]]
    if not _check_header(table, file, header, problems):
        return None, problems.listed()
    rows = tuple(_rows(table, file, header, records, problems))
    kept = frozenset(column.name for column in table.columns if column.name not in header)
    return Draft(table=table, file=file, rows=rows, kept=kept), problems.listed()


def _table_of(file: str) -> Table | None:
    name = file.replace("\\", "/").rpartition("/")[2].lower()
    return table_named(name.removesuffix(".csv")) if name.endswith(".csv") else None


def _decode(file: str, data: bytes, problems: Problems) -> str | None:
    if len(data) > MAX_FILE_BYTES:
        problems.add(file, 0, "", f"expected at most {MAX_FILE_BYTES} bytes, got {len(data)}")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        problems.add(file, line, "", "expected UTF-8: save the file as 'CSV UTF-8'")
        return None
    if "\0" in text:
        problems.add(file, text[: text.index("\0")].count("\n") + 1, "", "expected no NUL bytes")
        return None
    return text


def _records(file: str, text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for record in reader:
            yield line, record
            line = reader.line_num + 1
    except csv.Error as exc:
        problems.add(file, line, "", f"this line is no CSV: {exc}")


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _check_header(table: Table, file: str, header: list[str], problems: Problems) -> bool:
    if len(header) > _MAX_COLUMNS:
        words = f"expected at most {_MAX_COLUMNS} columns, got {len(header)}"
        problems.add(file, 1, "", words)
        return False
    known = [column.name for column in table.columns]
    times = Counter(header)
    for name in header:
        if name not in known:
            words = f"no such column in {table.name}: expected some of {', '.join(known)}"
            problems.add(file, 1, name[:60], words)
        elif times[name] > 1:
            problems.add(file, 1, name, "this column is there twice")
    if "id" not in header:
        problems.add(file, 1, "id", "expected this column")
    return not problems


def _rows(
    table: Table,
    file: str,
    header: list[str],
    records: Iterator[tuple[int, list[str]]],
    problems: Problems,
) -> Iterator[DraftRow]:
    for number, (line, record) in enumerate(records):
        if not any(cell.strip() for cell in record):
            continue
        if number >= MAX_ROWS:
            problems.add(file, line, "", f"expected at most {MAX_ROWS} rows")
            return
        if len(record) != len(header):
            words = f"expected {len(header)} cells, as in the header, got {len(record)}"
            problems.add(file, line, "", words)
            continue
        raw = dict(zip(header, map(_unguard, record), strict=True))
        yield parse_row(table, file, DraftRow(line, {}), raw, problems)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return format_number(value)
        case Slot():
            return str(value)
        case tuple():
            return _guard(";".join(value))
        case _:
            return _guard(value)


def format_number(value: float) -> str:
    """Return the shortest text that reads back as exactly this number, without a needless ".0"."""
    return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)


def _guard(text: str) -> str:
    return f"'{text}" if text.startswith(_GUARDED) else text


def _unguard(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_GUARDED) else text
