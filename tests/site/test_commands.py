"""`redoubt site` as a user runs it: real processes, real signals."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from redoubt.edge.batches import BatchKind
from redoubt.edge.spool import Spool
from redoubt.model.finding import FindingChange
from redoubt.site.config import load_config
from redoubt.site.folder import SiteFolder
from redoubt.world import FleetPlan, WorldPlan, start
from tests.networks import own_network
from tests.site.center_end import CenterEnd, allowed, center_end

NETWORK = own_network(92)


async def command(*arguments: object) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "redoubt", "site", *map(str, arguments)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


async def run(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
    process = await command(*arguments)
    out, err = await process.communicate(stdin.encode())
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def enrolled(tmp_path: Path) -> AsyncIterator[tuple[Path, CenterEnd]]:
    plan = WorldPlan(fleet=FleetPlan(machines=4, network=NETWORK, seed=3))
    async with start(plan) as world, center_end(tmp_path / "center") as center:
        folder = tmp_path / "site"
        ports = [f"--port={name}={port}" for name, port in world.ports.items()]
        code, out, err = await run(
            *("init", folder, "--center", center.web_url, "--token", "-", "--cadence", 1),
            *("--network", NETWORK, *ports),
            stdin=f"{center.token}\n",
        )
        assert (code, out) == (0, ""), err
        assert str(center.token) not in err
        center.allow(*map(allowed, world.machines))
        yield folder, center


async def test_init_takes_the_token_from_standard_input(tmp_path: Path) -> None:
    async with enrolled(tmp_path) as (folder, center):
        config = load_config(SiteFolder(folder))
        assert config.networks == (NETWORK,)
        assert config.cadence_s == 1
        code, out, _ = await run("status", folder, "--json")
        standing = json.loads(out)
        assert code == 1
        assert standing["is_running"] is False
        assert standing["problems"] == ["no register came from the center yet"]
        code, _, err = await run(
            "init", folder, "--center", center.web_url, "--token", "-", stdin=str(center.token)
        )
        assert code == 2
        assert err == f"redoubt: {folder} is a site already: take another folder, or remove it\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--center", "http://center.example"), "plain http is for loopback only"),
        (("--center", "https://c.example", "--network", "8.8.8.0/24"), "not a private network"),
        (("--center", "https://c.example", "--cadence", "0"), "expected cadence_s of 1 to 3600"),
        (("--center", "https://c.example"), "expected an enrolment token"),
    ],
)
async def test_a_wrong_call_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = await run("init", tmp_path / "site", "--token", "-", *arguments, stdin="x")
    assert code == 2
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


async def test_run_says_what_is_missing(tmp_path: Path) -> None:
    code, _, err = await run("run", tmp_path)
    assert code == 2
    assert "is no site: enrol it" in err


async def test_an_agent_stops_within_two_seconds_and_runs_once(tmp_path: Path) -> None:
    async with enrolled(tmp_path) as (folder, center):
        agent = await command("run", folder)
        await _until(lambda: len(center.sample_rows()) >= 8)
        code, _, err = await run("run", folder)
        assert code == 2
        assert "already running" in err
        began = time.monotonic()
        agent.send_signal(signal.SIGTERM)
        _, words = await agent.communicate()
        assert time.monotonic() - began < 2
        assert agent.returncode == 0, words.decode()
        assert b"Traceback" not in words


async def test_kill_9_loses_nothing_that_was_kept_and_doubles_nothing(tmp_path: Path) -> None:
    async with enrolled(tmp_path) as (folder, center):
        center.takes_nothing = True
        first = await command("run", folder)
        await _until(lambda: _rows_kept(folder) >= 8)
        first.kill()
        await first.communicate()
        spool = Spool(folder / "spool.sqlite")
        waiting = {(batch.epoch, batch.seq): batch.body for batch in spool.read_group()}
        spool.close()
        assert waiting
        center.takes_nothing = False
        second = await command("run", folder)
        await _until(lambda: waiting.keys() <= center.received.keys())
        second.send_signal(signal.SIGINT)
        await second.communicate()
    assert all(center.received[key].body == body for key, body in waiting.items())
    rows = Counter((machine, at) for machine, at, _ in center.sample_rows())
    assert set(rows.values()) == {1}
    opened = Counter(
        event.finding.key for event in center.events() if event.change is FindingChange.OPENED
    )
    assert set(opened.values()) <= {1}


def _rows_kept(folder: Path) -> int:
    """Look into the spool beside the running agent."""
    spool = Spool(folder / "spool.sqlite")
    try:
        group = spool.read_group()
    finally:
        spool.close()
    return sum(batch.rows for batch in group if batch.kind is BatchKind.SAMPLES)


async def _until(is_so: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 (what is waited for happens in another process)
            await asyncio.sleep(0.05)
