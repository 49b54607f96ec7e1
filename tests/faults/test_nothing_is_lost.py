"""Whatever is killed or cut, the store holds what was polled: each sample once, roll-ups too.

Real processes and SIGKILL. `make test` tries a few moments of each kind, drawn from fixed seeds;
`make soak` tries fifty, whose seed is printed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.harness import Program, Scene

STEPS = ("accept", "accepted", "group", "samples", "machine_minute", "places", "records", "close")


@pytest.mark.parametrize(
    "deaths",
    [
        (
            # In a request, before the inbox has committed it.
            "accept:4:0",
            # The inbox has committed, the answer is lost: the agent brings the same again.
            "accepted:3:0",
            # The group is written down, nothing is carried on yet.
            "group:1:0",
            # Inside the insert of raw rows.
            "samples:2:6",
        ),
        (
            # Raw rows are in, their minutes are not.
            "machine_minute:1:0",
            # Inside the insert of minutes, and of what racks and sites make of them.
            "machine_minute:2:8",
            "places:1:4",
            # All is carried on, the group is not let go of: it is carried on again.
            "close:2:0",
        ),
    ],
)
async def test_a_center_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, deaths: tuple[str, ...]
) -> None:
    first, *others = deaths
    async with Scene(tmp_path).play(first) as scene:
        for death in [*others, None]:
            assert await scene.receiver.ended() == -9
            await scene.start_receiver(death)
        await scene.settle()


@pytest.mark.parametrize("seed", [1])
async def test_an_agent_that_is_killed_while_it_spools_makes_every_poll_once(
    tmp_path: Path, seed: int
) -> None:
    async with Scene(tmp_path).play() as scene:
        for _ in range(3):
            await _kill(scene, random.Random(seed), scene.sender)
            await scene.start_sender()
        await scene.settle()


@pytest.mark.parametrize("seed", [2])
async def test_both_killed_at_once_lose_nothing(tmp_path: Path, seed: int) -> None:
    async with Scene(tmp_path).play() as scene:
        await _kill(scene, random.Random(seed), scene.sender, scene.receiver)
        await scene.start_receiver()
        await scene.start_sender()
        await scene.settle()


async def test_a_link_cut_for_twenty_cadences_neither_holds_up_polling_nor_loses_a_row(
    tmp_path: Path,
) -> None:
    async with Scene(tmp_path, cadence_s=0.1).play() as scene:
        await scene.sender.said("poll", times=5)
        scene.wire.cut()
        await scene.sender.said("poll", times=26)
        scene.wire.join()
        await scene.sender.said("poll", times=30)
        told = await scene.settle()
        times = [float(line.split()[2]) for line in scene.sender.lines if line.startswith("poll")]
    waits = sorted(later - sooner for sooner, later in pairwise(times[5:26]))
    # A poll left out would be two cadences; a busy machine may be late now and then.
    assert waits[len(waits) // 2] < 2 * scene.cadence_s
    assert told["conflicts"] == []


async def test_a_key_that_comes_back_with_another_body_is_told_and_its_rows_still_arrive(
    tmp_path: Path,
) -> None:
    """As when an old copy of the spool's file was put back: its numbers begin again."""
    async with Scene(tmp_path).play() as scene:
        await scene.sender.said("poll", times=10)
        await scene.finish_sending()
        _rewind_numbers(tmp_path / "site" / "spool.sqlite")
        await scene.start_sender()
        await scene.sender.said("poll", times=10)
        told = await scene.settle()
    assert {agent for agent, _epoch, _seq in told["conflicts"]} == {"agent-1"}


@pytest.mark.soak
async def test_fifty_random_moments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("REDOUBT_SEED") or time.time())
    rng = random.Random(seed)
    for moment in range(50):
        kind = rng.choice(("center", "center", "agent", "both"))
        step, times = rng.choice(STEPS), rng.randrange(1, 6)
        die = f"{step}:{times}:{rng.choice((0, rng.random() * 40))}"
        with capsys.disabled():
            sys.stdout.write(f"seed {seed} moment {moment}: {kind} {die}\n")
        async with Scene(tmp_path / str(moment)).play(die if kind == "center" else None) as scene:
            if kind == "center":
                assert await scene.receiver.ended() == -9
            elif kind == "agent":
                await _kill(scene, rng, scene.sender)
            else:
                await _kill(scene, rng, scene.sender, scene.receiver)
            if kind in ("center", "both"):
                await scene.start_receiver()
            if kind in ("agent", "both"):
                await scene.start_sender()
            await scene.settle()


async def _kill(scene: Scene, rng: random.Random, *programs: Program) -> None:
    """Kill programs at the same moment, somewhere within a few polls."""
    await scene.sender.said("poll", times=rng.randrange(2, 20))
    await asyncio.sleep(rng.random() * 2 * scene.cadence_s)
    await asyncio.gather(*[program.kill() for program in programs])


def _rewind_numbers(path: Path) -> None:
    """Make the spool number its batches from the beginning again, in the same epoch."""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM batches").fetchone() == (0,)
        file.execute("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'batches'")
        file.commit()
