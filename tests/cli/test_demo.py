"""The demo shows the whole of it, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path

MACHINES = 40


def test_the_demo_opens_signed_in_shows_its_machines_and_goes_without_a_trace(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"
    demo = subprocess.Popen(
        [
            *(sys.executable, "-m", "redoubt", "demo", "--machines", str(MACHINES)),
            *("--seed", "7", "--dir", str(folder)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        link = demo.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/link/\S+", link), link
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = opener.open(link).read().decode()
        assert "virtual" in page
        base = link.partition("/link/")[0]

        def overview() -> dict[str, object]:
            text = opener.open(f"{base}/api/v1/overview").read()
            totals: dict[str, object] = json.loads(text)["totals"]
            return totals

        _wait(lambda: overview()["hashing"] == MACHINES, 40)
        children = _processes_of(folder)
        assert len(children) >= 3
    finally:
        demo.send_signal(signal.SIGINT)
        _, words = demo.communicate(timeout=30)
    assert demo.returncode == 0, words
    assert "Traceback" not in words
    _wait(lambda: not _processes_of(folder), 5)


def test_a_demo_that_is_killed_takes_its_programs_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "redoubt", "demo", "--machines", "5", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("http://")
    demo.kill()
    demo.communicate(timeout=10)
    _wait(lambda: not _processes_of(folder), 15)


def test_a_demo_folder_is_not_taken_for_another_mine(tmp_path: Path) -> None:
    recipe = {"machines": 5, "seed": 1, "network": "127.20.0.0/16", "web_port": 1, "agent_port": 2}
    (tmp_path / "demo.json").write_text(json.dumps(recipe))
    done = subprocess.run(
        [sys.executable, "-m", "redoubt", "demo", "--machines", "9", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "holds a demo of 5 machines" in done.stderr


def _wait(is_so: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.2)


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines of running programs that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found
