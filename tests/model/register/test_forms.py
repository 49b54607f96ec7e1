"""CSV and TOML say exactly what the register says, and read back as exactly the same."""

from __future__ import annotations

import csv
import io
import time
import tomllib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redoubt.model.ids import OwnerId
from redoubt.model.register import Owner, Register
from redoubt.model.register.changes import FileText, plan_files
from redoubt.model.register.columns import TABLES, table_named
from redoubt.model.register.csv_form import read_csv, write_csv
from redoubt.model.register.draft import MAX_FILE_BYTES, MAX_PROBLEMS
from redoubt.model.register.toml_form import read_toml, write_toml
from tests.model.register.registers import ACME, SMALL, registers

Form = Callable[[Register], list[FileText]]

EMPTY = Register(organisation=ACME, version=0)


def csv_files(register: Register) -> list[FileText]:
    return [FileText(f"{table.name}.csv", write_csv(register, table).encode()) for table in TABLES]


def toml_file(register: Register) -> list[FileText]:
    return [FileText("register.toml", write_toml(register).encode())]


@pytest.mark.parametrize("form", [csv_files, toml_file])
@settings(max_examples=60, deadline=None)
@given(register=registers())
def test_what_is_written_reads_back_as_exactly_the_same(form: Form, register: Register) -> None:
    plan, problems = plan_files(msgspec.structs.replace(EMPTY, version=1), form(register))
    assert problems == ()
    assert plan is not None
    assert plan.register == register


@pytest.mark.parametrize("form", [csv_files, toml_file])
def test_importing_what_was_exported_changes_nothing(form: Form) -> None:
    plan, problems = plan_files(SMALL, form(SMALL))
    assert (problems, plan is not None and plan.is_empty) == ((), True)


def test_toml_of_an_empty_table_empties_it() -> None:
    plan, _ = plan_files(
        Register(organisation=ACME, version=1, owners=SMALL.owners), toml_file(EMPTY)
    )
    assert plan is not None
    assert plan.register.owners == ()


@pytest.mark.parametrize("evil", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "＝1", "'=1"])
def test_a_spreadsheet_never_sees_a_formula_in_a_text(evil: str) -> None:
    register = msgspec.structs.replace(EMPTY, owners=(Owner(OwnerId("o1"), evil),))
    table = table_named("owners")
    assert table is not None
    text = write_csv(register, table)
    cell = list(csv.reader(io.StringIO(text)))[1][1]
    assert cell == f"'{evil}"
    draft, problems = read_csv("owners.csv", text.encode())
    assert problems == ()
    assert draft is not None
    assert draft.rows[0].values["name"] == evil


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_of_any_spreadsheet_is_read(delimiter: str, mark: str, newline: str) -> None:
    lines = [["id", "name"], ["o1", "Anna"], ["", ""], ["o2", "Bo"]]
    text = mark + newline.join(delimiter.join(cells) for cells in lines)
    draft, problems = read_csv("C:\\mine\\Owners.CSV", text.encode())
    assert problems == ()
    assert draft is not None
    assert [(row.line, row.values["id"]) for row in draft.rows] == [(2, "o1"), (4, "o2")]


def test_every_bad_row_is_told_with_file_line_column_and_reason() -> None:
    text = (
        "id,site,make,model,slot,mac,power_limit_w\n"
        "m1,bunker,Bitmain,S19,3-Feb,00:1a:2b:3c:4d:5e,3250\n"
        "m 2,bunker,,S19,,zz,-5\n"
        "m3,bunker,Bitmain\n"
        "m4,bunker,Bitmain,S19,,,1_000\n"
    )
    _, problems = read_csv("machines.csv", text.encode())
    told = [(problem.line, problem.column) for problem in problems]
    assert told == [
        (2, "slot"),
        (3, "id"),
        (3, "make"),
        (3, "mac"),
        (3, "power_limit_w"),
        (4, ""),
        (5, "power_limit_w"),
    ]
    assert "spreadsheets make dates of slots" in problems[0].reason
    assert str(problems[1]).startswith("machines.csv:3: id: expected id of 1 to 64 letters")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("machines.xlsx", b"", "named one of"),
        ("owners.csv", b"", "header line"),
        ("owners.csv", b"id,name,colour\n", "no such column"),
        ("owners.csv", b"name\nAnna\n", "expected this column"),
        ("owners.csv", b"id,id\n", "twice"),
        ("owners.csv", b"id,name\no1,\xff\n", "UTF-8"),
        ("owners.csv", b"id,name\no1,a\x00b\n", "NUL"),
        ("owners.csv", b'id,name\no1,"Anna\n', "no CSV"),
        ("owners.csv", b" " * (MAX_FILE_BYTES + 1), "at most"),
        ("r.toml", b"[[owners]\n", "no TOML"),
        ("r.toml", b"[[owner]]\nid = 1\n", "no such table"),
        ("r.toml", b"owners = 3\n", "expected rows"),
        ("r.toml", b"[[owners]]\nid = 'o'\nname = 'n'\ncolour = 1\n", "no such column"),
        ("r.toml", b"[[owners]]\nid = 7\nname = 2026-01-01\n", "expected text"),
        ("r.toml", b"a = " + b"[" * 50_000, "nested"),
        ("r.toml", b"\xff", "UTF-8"),
        ("r.toml", b" " * (MAX_FILE_BYTES + 1), "at most"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_reason(name: str, data: bytes, words: str) -> None:
    plan, problems = plan_files(EMPTY, [FileText(name, data)])
    assert plan is None
    assert any(words in problem.reason for problem in problems)
    assert all(problem.file == name for problem in problems)


def test_problems_in_toml_name_the_line_of_the_value() -> None:
    text = '# mine\n[[owners]]\nid = "o1"\nname = "Anna"\n\n[[owners]]\nid = "o2"\nname = 5\n'
    _, problems = read_toml("r.toml", text.encode())
    assert [(problem.line, problem.column) for problem in problems] == [(8, "name")]


def test_a_thousand_problems_are_listed_and_the_rest_counted() -> None:
    rows = "".join(f"bad id {number},x\n" for number in range(MAX_PROBLEMS + 50))
    _, problems = read_csv("owners.csv", f"id,name\n{rows}".encode())
    assert len(problems) == MAX_PROBLEMS + 1
    assert "50 more" in {problem.reason for problem in problems if not problem.file}.pop()


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), name=st.sampled_from(["owners.csv", "machines.csv", "r.toml"]))
def test_no_bytes_break_the_readers(data: bytes, name: str) -> None:
    plan, problems = plan_files(EMPTY, [FileText(name, data)])
    assert (plan is None) == bool(problems)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.sampled_from("id,name;\n\t\r\"'[]=#o1 {}.éx-"), max_size=120),
    name=st.sampled_from(["owners.csv", "r.toml"]),
)
def test_no_near_miss_breaks_the_readers(text: str, name: str) -> None:
    start = "id,name\n" if name.endswith("csv") else "[[owners]]\n"
    plan_files(EMPTY, [FileText(name, (start + text).encode())])


def test_toml_is_toml() -> None:
    document = tomllib.loads(write_toml(SMALL))
    assert document["machines"][0]["slot"] == "3-2"
    assert document["machines"][0]["hashrate_nominal_hs"] == 104000000000000
    assert "serial" not in document["machines"][1]


@pytest.mark.parametrize(
    "data",
    [
        b"x" + b".a" * 300_000 + b" = 1",
        b"x = 1\n[" + b"a . " * 100_000 + b"b]",
        b'x = {"a"' + b'."a"' * 100_000 + b" = 1}",
        b'x = ["""a"""", {a' + b".a" * 300_000 + b" = 1}]",
        b"x = ['''a'''''\n, {a" + b".a" * 300_000 + b" = 1}]",
        b'x = "' + b'\\"' * 300_000,
        b'x = """' + b'\\"' * 300_000,
        b"x = '''" + b"''a" * 300_000,
        b"x = " + b"a" * 600_000,
        b"a " + b" " * 600_000,
    ],
)
def test_a_toml_file_costs_no_more_than_its_length(data: bytes) -> None:
    began = time.process_time()
    drafts, problems = read_toml("a.toml", data)
    assert time.process_time() - began < 2.0
    assert (drafts, len(problems)) == ((), 1)


def test_dots_in_texts_and_numbers_are_no_long_keys() -> None:
    name = "a.b.c.d.e.f.g.h.i.j.k # 'x'.\\\"y\\\""
    text = f'[[owners]]  # a.b.c.d.e.f.g.h.i.j\nid = "o"\nname = "{name}"\n'
    assert tomllib.loads(text)
    drafts, problems = read_toml("a.toml", text.encode())
    assert problems == ()
    assert len(drafts) == 1


def test_a_long_key_is_told_with_its_line() -> None:
    data = b'note = """\n\n"""\nx' + b".a" * 9 + b" = 1"
    _, (problem,) = read_toml("a.toml", data)
    assert (problem.line, problem.reason) == (
        4,
        "this is no register: a key has more than 8 parts",
    )


def test_a_csv_header_costs_no_more_than_its_length() -> None:
    began = time.process_time()
    draft, (problem,) = read_csv("machines.csv", b"id," * 300_000)
    assert time.process_time() - began < 2.0
    assert (draft, problem.reason) == (None, "expected at most 64 columns, got 300001")
