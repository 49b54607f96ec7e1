"""The spool behind one thread, for asyncio: nothing that polls ever waits for the disk's fsync."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from redoubt.edge.batches import Batch
from redoubt.edge.spool import Draft, Key, Spool, SpoolState, SpoolStep

_Result = TypeVar("_Result")


class SpoolThread:
    """A Spool whose methods are coroutines. Each raises ServiceError where the disk fails."""

    def __init__(self, spool: Spool, executor: ThreadPoolExecutor) -> None:
        self._spool = spool
        self._executor = executor

    async def append(
        self, drafts: Sequence[Draft], notes: Mapping[str, bytes] | None = None
    ) -> tuple[SpoolStep, ...]:
        return await self._run(lambda: self._spool.append(drafts, notes))

    async def read_group(self) -> list[Batch]:
        return await self._run(self._spool.read_group)

    async def ack(self, keys: Sequence[Key]) -> int:
        return await self._run(lambda: self._spool.ack(keys))

    async def set_aside(self, keys: Sequence[Key], why: str, now: datetime) -> None:
        await self._run(lambda: self._spool.set_aside(keys, why, now))

    async def renumber(self, keys: Sequence[Key], now: datetime) -> None:
        await self._run(lambda: self._spool.renumber(keys, now))

    async def note(self, name: str) -> bytes | None:
        return await self._run(lambda: self._spool.note(name))

    async def state(self) -> SpoolState:
        return await self._run(self._spool.state)

    async def close(self) -> None:
        """Close the file after everything that was begun."""
        await self._run(self._spool.close)
        self._executor.shutdown()

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


async def open_spool(path: Path, limit_bytes: int) -> SpoolThread:
    """Open the spool at `path`, or make it. Raises ServiceError where the disk fails."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")

    def free_bytes() -> int:
        return shutil.disk_usage(path.parent).free

    def make() -> Spool:
        return Spool(path, limit_bytes=limit_bytes, free_bytes=free_bytes)

    spool = await asyncio.get_running_loop().run_in_executor(executor, make)
    return SpoolThread(spool, executor)
