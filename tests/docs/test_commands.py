"""Every command in the documentation exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from redoubt.cli import redoubt_command
from redoubt.site.config import SiteConfig

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
SITE_PAGE = (ROOT / "docs" / "site.md").read_text(encoding="utf-8")


def commands(page: Path) -> Iterator[str]:
    """Yield the command lines in a page's code blocks, joined where they go over several lines."""
    for block in re.findall(
        r"```(?:sh|bash|)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    ):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.partition(" #")[0].strip()
            if re.match(r"(\.venv/bin/)?redoubt\s", command):
                yield command


SHOWN = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_a_command_that_is_shown_exists(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    words = words[: next((at for at, word in enumerate(words) if word in "<>|"), len(words))]
    command: click.Command = redoubt_command
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: no command {words[0]!r} in {line!r}"
        command, words = found, words[1:]
    parser = command.make_parser(click.Context(command))
    _, arguments, _ = parser.parse_args(list(words))
    assert not isinstance(command, click.Group) or not arguments, f"{page}: {line!r}"


def test_some_commands_are_shown() -> None:
    assert len(SHOWN) >= 10


def test_every_setting_of_a_site_is_documented() -> None:
    fields = [field.name for field in msgspec.structs.fields(SiteConfig)]
    assert [
        name for name in fields if f"`{name}`" not in SITE_PAGE and f"[{name}" not in SITE_PAGE
    ] == []
