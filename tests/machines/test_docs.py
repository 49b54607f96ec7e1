"""docs/machines.md says what the drivers do now."""

from __future__ import annotations

from tools.docs_machines import PAGE, machines_page


def test_the_page_is_current() -> None:
    stale = "docs/machines.md is stale: run .venv/bin/python -m tools.docs_machines"
    assert PAGE.read_text(encoding="utf-8") == machines_page(), stale
