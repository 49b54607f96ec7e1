"""Every incident and misbehaviour is in docs/world.md, and its example is a script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redoubt.world import Misbehaviour, parse_script
from redoubt.world.incidents import Kind

PAGE = (Path(__file__).parents[2] / "docs" / "world.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Kind, *Misbehaviour])
def test_every_word_of_a_script_has_its_row(word: str) -> None:
    assert f"| `{word}` |" in PAGE


def test_the_example_can_be_run() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    script = parse_script(example)
    assert [incident.kind for incident in script.incidents] == ["fan_failure", "power_tripped"]
