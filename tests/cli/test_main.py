"""Every command answers a person in sentences and a program in exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pyarrow", "aiohttp", "litestar", "sqlalchemy", "chdb", "cryptography", "numpy")


def redoubt(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['redoubt', '--help']\n"
        "from redoubt.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert "heavy: []" in done.stdout


def test_help_lists_every_group() -> None:
    done = redoubt("--help")
    assert done.returncode == 0
    for group in ("center", "demo", "machine", "site", "world"):
        assert f"\n  {group} " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["center", "run", "/nowhere/at/all"],
        ["center", "init", "/dev/null/center"],
        ["site", "run", "/nowhere/at/all"],
        ["site", "init", "/nowhere/site", "--center", "ftp://x", "--token", "-"],
        ["site", "init", "/nowhere/site", "--center", "http://127.0.0.1:1", "--token", "-"],
        ["site", "scan", "8.8.8.0/24"],
        ["site", "scan", "10.0.0.0/8"],
        ["site", "scan", "127.0.0.1", "--port", "toaster=80"],
        ["machine", "show", "not an address"],
        ["world", "run", "--machines", "0"],
        ["world", "run", "--network", "10.0.0.0/16"],
        ["demo", "--machines", "0"],
        ["demo", "--dir", "/dev/null/demo"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_a_sentence_and_exit_code_2(arguments: list[str]) -> None:
    done = redoubt(*arguments, stdin="not a token\n")
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.strip()
    assert done.stdout == ""
