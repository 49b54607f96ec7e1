"""The programs themselves, by their command lines, killed while a virtual mine runs.

What the agent polled is known by its spool: every batch ever numbered there is in the center's
inbox once or still in the spool, and the store holds the rows of the batches once, roll-ups too.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.harness import Program
from tests.faults.teller import numbers_in

MACHINES = 12
REDOUBT = str(Path(sys.executable).with_name("redoubt"))


class Mine:
    """A world, a center and a site in a folder, each a process of its own."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.center_folder, self.site_folder = folder / "center", folder / "site"
        self._folder = folder
        self._tasks = tasks
        self._running: list[Program] = []
        self._web, self._agents = _free_port(), _free_port()
        self.center: Program
        self.site: Program

    async def make(self) -> None:
        self.site_folder.mkdir(mode=0o700)
        await self._start(
            *("world", "run", "--machines", str(MACHINES), "--network", "127.61.0.0/24"),
            *("--map", str(self._folder / "map.json")),
            *("--targets", str(self.site_folder / "targets.toml")),
            *("--credentials", str(self.site_folder / "credentials.toml")),
        )
        await self._call(
            *("center", "init", str(self.center_folder)),
            *("--web-listen", f"127.0.0.1:{self._web}"),
            *("--agent-listen", f"127.0.0.1:{self._agents}"),
        )
        await self.start_center()
        token = await self._call(
            *("center", "token", "site", str(self.center_folder), "bunker", "--name", "Bunker")
        )
        (self._folder / "token").write_text(token)
        while not (self._folder / "map.json").exists():  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.05)
        ports = json.loads((self._folder / "map.json").read_text())["ports"]
        await self._call(
            *("site", "init", str(self.site_folder), "--cadence", "1"),
            *("--center", f"http://127.0.0.1:{self._web}"),
            *("--token", str(self._folder / "token")),
            *(word for name, port in ports.items() for word in ("--port", f"{name}={port}")),
        )
        await self.start_site()

    async def start_center(self) -> None:
        self.center = await self._start("center", "run", str(self.center_folder))
        await self.center.said("http", timeout_s=60)

    async def start_site(self) -> None:
        self.site = await self._start("site", "run", str(self.site_folder))

    async def wait_for_batches(self, count: int) -> None:
        """Wait until so many more batches have come to the center."""
        inbox = self.center_folder / "inbox.sqlite"
        have = len(numbers_in(inbox))
        async with asyncio.timeout(60):
            while len(numbers_in(inbox)) < have + count:  # noqa: ASYNC110 - another's file
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        for program in reversed(self._running):
            await program.kill()

    async def _start(self, *words: str) -> Program:
        program = await Program.start_command(REDOUBT, *words)
        self._tasks.create_task(program.read())
        self._running.append(program)
        return program

    async def _call(self, *words: str) -> str:
        """Run a command to its end; return its last line."""
        program = await Program.start_command(REDOUBT, *words)
        await program.read()
        assert program.process.returncode == 0, words
        return program.lines[-1] if program.lines else ""


@asynccontextmanager
async def mine_in(folder: Path) -> AsyncIterator[Mine]:
    async with asyncio.TaskGroup() as tasks:
        mine = Mine(folder, tasks)
        try:
            await mine.make()
            yield mine
        finally:
            await mine.end()


KINDS = (("center",), ("site",), ("center", "site"))


@pytest.mark.parametrize("seed", [5])
async def test_programs_that_are_killed_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    await _live_through(tmp_path, KINDS, random.Random(seed))


@pytest.mark.soak
async def test_programs_that_are_killed_fifty_times_lose_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("REDOUBT_SEED") or time.time())
    with capsys.disabled():
        sys.stdout.write(f"seed {seed}: fifty deaths of whole programs\n")
    rng = random.Random(seed)
    await _live_through(tmp_path, [rng.choice(KINDS) for _ in range(50)], rng)


async def _live_through(
    tmp_path: Path, deaths: Sequence[tuple[str, ...]], rng: random.Random
) -> None:
    """Kill programs at random moments, one death after another, and count in the end."""
    async with mine_in(tmp_path) as mine:
        await mine.wait_for_batches(3)
        for killed in deaths:
            await asyncio.sleep(rng.random())
            await asyncio.gather(*[getattr(mine, name).kill() for name in killed])
            if "center" in killed:
                await mine.start_center()
            if "site" in killed:
                await mine.start_site()
            await mine.wait_for_batches(3)
        await mine.site.terminate()
        await mine.center.terminate()
    inbox = tmp_path / "center" / "inbox.sqlite"
    teller = await Program.start(
        "tests.faults.teller", str(inbox), str(tmp_path / "center" / "telemetry")
    )
    await teller.read()
    told = json.loads(teller.lines[-1].partition(" ")[2])
    assert told["rows"] == told["distinct_rows"] >= 5 * MACHINES
    assert told["minute_samples"] == told["rack_samples"] == told["site_samples"] == told["rows"]
    assert told["hashrate"] == told["minute_hashrate"]
    assert told["site_machines"] == MACHINES
    assert told["asides"] == told["conflicts"] == []
    made, kept = _numbers_of(tmp_path / "site" / "spool.sqlite")
    assert {seq for _epoch, seq in numbers_in(inbox)} | kept == set(range(1, made + 1))


def _numbers_of(spool: Path) -> tuple[int, set[int]]:
    """Return how many batches a spool has numbered, and those that are still in it."""
    with closing(sqlite3.connect(spool)) as file:
        made = file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
        return made[0], {seq for (seq,) in file.execute("SELECT seq FROM batches")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
