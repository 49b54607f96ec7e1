"""The inbox: where batches are safe at the center, before they are anything else.

`accept` commits, then answers; the agent deletes only what was answered. A key that comes again
with the same body is acknowledged again and kept once, also long after it was carried on. A key
that comes with another body is a conflict: the first body stays, and the conflict is kept for the
rules to make a finding of. When room runs short nothing more is accepted, and agents keep theirs.

`open_group` and `close_group` are the mover's: a group is written down before it is carried on, so
that after a crash exactly the same batches go under the same token.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from redoubt.edge.agent_link import Receipt
from redoubt.edge.batches import ROW_LIMITS, Batch, body_digest
from redoubt.edge.inbox_file import InboxFile
from redoubt.edge.inbox_shapes import Aside, Conflict, Group, InboxBatch, clip_why
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.packing import MAX_BODY_BYTES
from redoubt.model.errors import RemoteProtocolError, ServiceError

__all__ = [
    "Aside",
    "Conflict",
    "Group",
    "Inbox",
    "InboxBatch",
    "InboxFull",
    "Limits",
    "clip_why",
]

MAX_EPOCH_LENGTH = 64
_MAX_SEQ = 2**62
_DIGEST_BYTES = 32

_Result = TypeVar("_Result")


class InboxFull(ServiceError):
    """There is no room for more; agents keep their batches and come again."""


class Limits(msgspec.Struct, frozen=True):
    """What the inbox may hold, and what it must leave free on its disk."""

    pending_bytes: int = 4 * 1024**3
    free_bytes: int = 512 * 1024**2


class InboxState(msgspec.Struct, frozen=True):
    """What waits to be carried on."""

    batches: int
    rows: int
    size_bytes: int
    oldest_at: datetime | None


class Inbox:
    """Coroutines over one thread that owns the file. Made by `open`."""

    def __init__(
        self,
        file: InboxFile,
        thread: ThreadPoolExecutor,
        limits: Limits,
        free_bytes: Callable[[], int],
    ) -> None:
        self._file = file
        self._thread = thread
        self._limits = limits
        self._free_bytes = free_bytes
        self._arrived = asyncio.Event()

    @classmethod
    async def open(
        cls,
        path: Path,
        limits: Limits | None = None,
        free_bytes: Callable[[], int] | None = None,
    ) -> Inbox:
        """Open the file at `path`, or make it. Raises ServiceError where the disk fails."""

        def measure() -> int:
            return shutil.disk_usage(path.parent).free

        thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        loop = asyncio.get_running_loop()
        file = await loop.run_in_executor(thread, InboxFile, path)
        return cls(file, thread, limits or Limits(), free_bytes or measure)

    async def close(self) -> None:
        """Close the file after everything that was begun."""
        await self._run(self._file.close)
        self._thread.shutdown()

    async def accept(
        self, agent: AgentIdentity, batches: Sequence[Batch], now: datetime
    ) -> Receipt:
        """Keep batches durably, then say which.

        Raises RemoteProtocolError where one cannot be what it says (nothing is kept then),
        InboxFull where there is no room, ServiceError where the disk fails.
        """
        receipt = await self._run(lambda: self._accept(agent, batches, now))
        self._arrived.set()
        return receipt

    async def wait_for(self, rows: int, linger_s: float) -> None:
        """Return once `rows` rows wait, or some do for `linger_s`, the time to gather more."""
        while not self._file.pending_batches:
            self._arrived.clear()
            if not self._file.pending_batches:
                await self._arrived.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(linger_s):
                while self._file.pending_rows < rows:
                    self._arrived.clear()
                    await self._arrived.wait()

    async def open_group(self, max_rows: int, max_bytes: int) -> Group | None:
        """Return the group under way, else a new one of the oldest batches, else None.

        `max_bytes` bounds what the bodies weigh unpacked.
        """
        return await self._run(lambda: self._file.open_group(max_rows, max_bytes))

    async def close_group(
        self, group: Group, asides: Sequence[tuple[InboxBatch, str, bytes]], now: datetime
    ) -> None:
        """Let go of a group; `asides` are its (batch, why, body) that could not be carried on."""
        await self._run(lambda: self._file.close_group(group, asides, now))

    async def conflicts(self) -> tuple[Conflict, ...]:
        """Return the newest conflicts, oldest first."""
        return await self._run(self._file.conflicts)

    async def asides(self) -> tuple[Aside, ...]:
        """Return the newest batches that could not be carried on, oldest first."""
        return await self._run(self._file.asides)

    async def state(self) -> InboxState:
        oldest_at = await self._run(self._file.oldest_at)
        file = self._file
        return InboxState(file.pending_batches, file.pending_rows, file.pending_bytes, oldest_at)

    def _accept(self, agent: AgentIdentity, batches: Sequence[Batch], now: datetime) -> Receipt:
        for batch in batches:
            _check(batch)
        receipt = Receipt([], [])
        with self._file.transaction():
            for batch in batches:
                source = self._file.source(agent, batch.epoch)
                key = (batch.epoch, batch.seq)
                match self._file.has_seen(source, batch):
                    case None:
                        self._file.add_conflict(source, batch.seq, now)
                        receipt.conflicts.append(key)
                    case True:
                        receipt.acked.append(key)
                    case False:
                        self._check_room(len(batch.body))
                        self._file.add(source, batch, now)
                        receipt.acked.append(key)
        return receipt

    def _check_room(self, incoming: int) -> None:
        if self._file.pending_bytes + incoming > self._limits.pending_bytes:
            raise InboxFull(f"the inbox holds {self._file.pending_bytes} bytes and takes no more")
        free = self._free_bytes() - incoming
        if free < self._limits.free_bytes:
            raise InboxFull(f"the inbox's disk has {free} bytes left and takes no more")

    async def _run(self, job: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _check(batch: Batch) -> None:
    """Raises RemoteProtocolError where a batch is out of bounds, or was changed on its way."""
    key = f"batch ({batch.epoch[:MAX_EPOCH_LENGTH]!r}, {batch.seq})"
    if not 0 < len(batch.epoch) <= MAX_EPOCH_LENGTH or not 0 <= batch.seq <= _MAX_SEQ:
        raise RemoteProtocolError(f"{key} has a key out of bounds")
    most = ROW_LIMITS[batch.kind]
    if not 1 <= batch.rows <= most or len(batch.body) > MAX_BODY_BYTES:
        raise RemoteProtocolError(f"{key} is empty or larger than a batch may be")
    if len(batch.digest) != _DIGEST_BYTES or body_digest(batch.body) != batch.digest:
        raise RemoteProtocolError(f"{key} is not what its digest says")
