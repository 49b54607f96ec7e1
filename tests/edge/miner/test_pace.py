"""New connections come at the pace that was asked for, also after a stall."""

from __future__ import annotations

import asyncio

import pytest

from redoubt.edge.miner.pace import Pace


async def starts(pace: Pace, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    found: list[float] = []

    async def one() -> None:
        await pace.turn()
        found.append(loop.time())

    await asyncio.gather(*(one() for _ in range(count)))
    return found


async def test_a_crowd_is_spread_out() -> None:
    pace = Pace(100)
    await starts(pace, 26)  # what may follow at once after a rest
    times = await starts(pace, 30)
    assert times[-1] - times[0] == pytest.approx(0.29, abs=0.1)


async def test_after_a_stall_no_more_than_a_quarter_second_follows_at_once() -> None:
    pace = Pace(100)
    await starts(pace, 26)
    await asyncio.sleep(0.6)
    times = await starts(pace, 60)
    at_once = sum(time - times[0] < 0.02 for time in times)
    assert 20 <= at_once <= 32
