"""The spool behind one thread, for asyncio: nothing that polls ever waits for the disk's fsync."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from redoubt.edge.batches import Batch
from redoubt.edge.spool import Draft, Key, Spool, SpoolState, SpoolStep
from redoubt.edge.spool_file import SpoolDamaged
from redoubt.model.errors import ServiceError

_log = logging.getLogger(__name__)
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
    """Open the spool at `path`, or make it. Raises ServiceError where the disk fails.

    A damaged one is put aside under another name and a new one begun: a site that reads its
    machines without its backlog is better than one that does not read them.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")

    def free_bytes() -> int:
        return shutil.disk_usage(path.parent).free

    def make() -> Spool:
        return Spool(path, limit_bytes=limit_bytes, free_bytes=free_bytes)

    loop = asyncio.get_running_loop()
    try:
        spool = await loop.run_in_executor(executor, make)
    except SpoolDamaged as exc:
        kept = _put_aside(path)
        _log.error("%s; it is kept as %s, and a new one is begun", exc, kept)
        spool = await loop.run_in_executor(executor, make)
    return SpoolThread(spool, executor)


def _put_aside(path: Path) -> Path:
    """Rename a spool with its journal, which belongs to it, and return its new name."""
    kept = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(kept.with_name(kept.name + suffix))
    except OSError as exc:
        raise ServiceError(f"the damaged spool cannot be put aside: {exc}") from exc
    return kept
