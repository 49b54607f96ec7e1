"""Doing one thing for many, a bounded number at once, with each result as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def side_by_side(
    items: Iterable[_Item], work: Callable[[_Item], Awaitable[_Result]], at_once: int
) -> AsyncGenerator[_Result, None]:
    """Yield `work(item)` for every item, in the order in which they end.

    A slow reader slows the work down. Whoever stops early closes the iterator
    (`contextlib.aclosing`), which ends what is under way.
    """
    waiting = iter(items)
    ended: asyncio.Queue[tuple[_Result] | None] = asyncio.Queue(maxsize=2 * at_once)

    async def worker() -> None:
        for item in waiting:
            await ended.put((await work(item),))
        await ended.put(None)

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(at_once)]
        left = at_once
        try:
            while left:
                result = await ended.get()
                if result is None:
                    left -= 1
                else:
                    yield result[0]
        except GeneratorExit:
            # Let out of the group it would come back as an exception group, which is no exit.
            for each in workers:
                each.cancel()
