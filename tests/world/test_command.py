"""`redoubt world run` as a process: it opens, says so, and ends cleanly when told."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.world.talk import own_network

RUN = [sys.executable, "-m", "redoubt", "world", "run"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=30)


def is_closed(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told(tmp_path: Path, number: signal.Signals) -> None:
    where = tmp_path / "map.json"
    process = subprocess.Popen(
        [*RUN, "--machines", "20", "--network", own_network(), "--map", str(where)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 20
        while not where.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        document = json.loads(where.read_bytes())
        address = document["machines"][0]["address"]
        assert not is_closed(address, document["ports"]["antminer"])
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "20 virtual machines listen" in said
    assert "Traceback" not in said
    assert is_closed(address, document["ports"]["antminer"])


def test_json_prints_events_and_nothing_else() -> None:
    done = run(
        *("--machines", "30", "--network", own_network(), "--incidents", "demo"),
        *("--speed", "200", "--minutes", "0.02", "--json"),
    )
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "opened"
    assert events[-1]["event"] == "closed"
    assert {event["event"] for event in events} >= {"incident"}


def test_misbehaviour_and_everything_else_can_be_asked_for(tmp_path: Path) -> None:
    done = run(
        *("--machines", "10", "--network", own_network(), "--minutes", "0.005"),
        *("--misbehave", "hang=2", "--misbehave", "drip=1"),
        *("--mixture", "antminer=50,axeos=50", "--port", "antminer=24028"),
        *("--targets", str(tmp_path / "targets.toml"), "--register", str(tmp_path / "register")),
        *("--credentials", str(tmp_path / "credentials.toml")),
    )
    assert done.returncode == 0, done.stderr
    assert "antminer 24028" in done.stderr
    assert "antminer = 24028" in (tmp_path / "targets.toml").read_text()
    assert any((tmp_path / "register").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "10.0.0.0/8"], "virtual machines live in 127.0.0.0/8 only"),
        (["--misbehave", "sulk=1"], "expected --misbehave HOW=COUNT with one of hang"),
        (["--misbehave", "hang=2000", "--network", "127.191.0.0/16"], "only 1000 are left"),
        (["--incidents", "none-such"], "no incident script 'none-such'"),
        (["--mixture", "antminer"], "expected --mixture like"),
        (["--mixture", "avalon=1"], "got 'avalon'"),
        (["--port", "web=80"], "expected --port SERVICE=PORT"),
        (["--machines", "many"], "is not a valid integer"),
        (["--machines", "10", "--network", "127.191.1.0/29"], "holds 6 machines, 10 are wanted"),
    ],
)
def test_a_wrong_call_is_a_sentence_and_exit_2(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
