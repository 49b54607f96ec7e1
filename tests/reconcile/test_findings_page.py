"""docs/findings.md says what the rules say."""

from __future__ import annotations

from redoubt.reconcile import all_rules
from tools.docs_findings import PAGE, findings_page


def test_the_page_is_written_from_the_rules() -> None:
    said = PAGE.read_text(encoding="utf-8")
    assert said == findings_page(), "run: .venv/bin/python -m tools.docs_findings"


def test_every_rule_is_on_the_page() -> None:
    said = PAGE.read_text(encoding="utf-8")
    missing = [name for name in all_rules() if f"### {name}\n" not in said]
    assert missing == []
