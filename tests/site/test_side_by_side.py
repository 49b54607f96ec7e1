"""Many things side by side: each once, no more at once than allowed, and left without a trace."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from redoubt.site.side_by_side import side_by_side


async def test_every_item_once_and_never_too_many_at_once() -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return item * item

    results = [result async for result in side_by_side(range(50), work, 7)]
    assert sorted(results) == [item * item for item in range(50)]
    assert most == 7


async def test_nothing_to_do() -> None:
    async def work(item: int) -> int:
        return item

    assert [result async for result in side_by_side([], work, 3)] == []


async def test_leaving_early_ends_what_is_under_way() -> None:
    ended: list[int] = []

    async def work(item: int) -> int:
        try:
            if item:
                await asyncio.sleep(60)
        finally:
            ended.append(item)
        return item

    async with aclosing(side_by_side(range(9), work, 4)) as results:
        async for result in results:
            assert result == 0
            break
    assert {0, 1, 2, 3} <= set(ended)


async def test_what_goes_wrong_in_the_work_is_heard() -> None:
    async def work(item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        await anext(side_by_side(range(3), work, 2))
    assert raised.group_contains(ZeroDivisionError)
