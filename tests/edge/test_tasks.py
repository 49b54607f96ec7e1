"""Programs stop when they are told to, wait as they should, and say a thing once."""

from __future__ import annotations

import asyncio
import logging
from random import Random

import pytest

from redoubt.edge.limits import SPARE_FILES, describe_shortage, raise_file_limit
from redoubt.edge.tasks import Backoff, SayOnce, run_until, wait_for
from redoubt.model.errors import ServiceError


async def test_flows_end_when_they_are_told_to() -> None:
    stop, ended = asyncio.Event(), []

    async def flow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")

    asyncio.get_running_loop().call_later(0.01, stop.set)
    await run_until(stop, flow, flow)
    assert ended == ["cleaned up"] * 2


async def test_a_flow_that_fails_ends_the_others_with_its_own_sentence() -> None:
    async def wait() -> None:
        await asyncio.sleep(60)

    async def fail() -> None:
        raise ServiceError("the disk is gone")

    with pytest.raises(ServiceError, match="the disk is gone"):
        await run_until(asyncio.Event(), wait, fail)


async def test_a_flow_that_is_done_ends_nothing() -> None:
    stop = asyncio.Event()

    async def short() -> None:
        asyncio.get_running_loop().call_later(0.01, stop.set)

    await run_until(stop, short)


async def test_waiting_ends_with_the_event_or_the_time() -> None:
    event = asyncio.Event()
    assert not await wait_for(event, 0.01)
    event.set()
    assert await wait_for(event, 60)


def test_pauses_grow_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(1, 60, Random(1))
    pauses = [backoff.next_s() for _ in range(12)]
    assert 0.5 <= pauses[0] <= 1
    assert all(30 <= pause <= 60 for pause in pauses[7:])
    backoff.reset()
    assert backoff.next_s() <= 1


def test_a_thing_that_goes_away_is_said_once_and_once_when_it_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    say = SayOnce(logging.getLogger("test"), "link")
    say.back()
    for _ in range(3):
        say.gone("refused")
    for _ in range(3):
        say.back()
    assert [record.message for record in caplog.records] == ["link: refused", "link: works again"]


def test_a_low_file_limit_is_said_with_what_to_do() -> None:
    assert describe_shortage(1000 + SPARE_FILES, 1000) is None
    assert "ulimit -Hn 1128" in (describe_shortage(256, 1000) or "")
    assert raise_file_limit() > 0
