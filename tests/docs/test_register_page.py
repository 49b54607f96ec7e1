"""docs/register.md names every column, and its examples can be imported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redoubt.model.ids import OrganisationId
from redoubt.model.register import Register
from redoubt.model.register.changes import FileText, Plan, plan_files
from redoubt.model.register.columns import TABLES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "register.md").read_text(encoding="utf-8")
AROUND = b"""
pools = [{ id = "main", name = "Main", url = "stratum+tcp://pool.example:3333", account = "acme" }]
sites = [{ id = "fort", name = "Fort" }]
buildings = [{ id = "hall", site = "fort", name = "Hall" }]
racks = [{ id = "a1", building = "hall", name = "A1", levels = 6, positions = 6 }]
"""


def example(language: str) -> bytes:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1].encode()


@pytest.fixture
def register() -> Register:
    """What the examples refer to."""
    plan, problems = plan_files(
        Register(organisation=OrganisationId("acme"), version=1), [FileText("around.toml", AROUND)]
    )
    assert problems == ()
    assert isinstance(plan, Plan)
    return plan.register


@pytest.mark.parametrize(("language", "name"), [("csv", "machines.csv"), ("toml", "register.toml")])
def test_the_example_can_be_imported(register: Register, language: str, name: str) -> None:
    plan, problems = plan_files(register, [FileText(name, example(language))])
    assert problems == ()
    assert isinstance(plan, Plan)
    assert [change.added for change in plan.changes] == [("a1-3-2",)]


def test_every_column_is_on_the_page() -> None:
    columns = {column.name for table in TABLES for column in table.columns}
    assert [name for name in sorted(columns) if not re.search(rf"\b{name}\b", PAGE)] == []


def test_what_must_have_a_value_is_bold() -> None:
    required = {column.name for table in TABLES for column in table.columns if column.is_required}
    assert [name for name in sorted(required) if f"**{name}**" not in PAGE] == []
