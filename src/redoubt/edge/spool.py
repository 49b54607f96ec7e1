"""The spool: every batch that a site has made and its center has not yet acknowledged.

One SQLite file (WAL, synchronous=FULL), used by one thread (`spool_thread` is its way in from
asyncio). A batch's key is (epoch, seq): a random word of this file and an AUTOINCREMENT number,
which a plain integer key would start again at 1 once the spool has drained, so that the receiver's
dedupe swallows new batches for old. `spool_room` says what goes when there is no more room.

Notes are small values that the program keeps beside its batches, in the same transaction: what has
been spooled and what is remembered of it cannot differ after a crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from redoubt.edge.batches import Batch, BatchKind, body_digest
from redoubt.edge.spool_file import (
    Draft,
    SpoolFile,
    file_size,
    from_milliseconds,
    milliseconds,
)
from redoubt.edge.spool_room import SpoolStep, shrink
from redoubt.model.errors import ServiceError

__all__ = ["Draft", "Key", "Spool", "SpoolState", "SpoolStep"]

Key = tuple[str, int]
"""A batch's (epoch, seq)."""

GROUP_BYTES = 8 * 1024 * 1024
"""How much travels in one request, unless a single batch is larger."""
GROUP_BATCHES = 1000
MAX_ASIDE = 200
"""How many batches that could not be delivered are kept for people to look at."""

_ROOM_SHARE = 0.005
_LEAST_ROOM_BYTES = 64 * 1024
_UNUSED_BYTES_KEPT = 16 * 1024 * 1024


class SpoolState(msgspec.Struct, frozen=True):
    """How the spool stands. `rows_lost` counts telemetry rows that made room, `aside` batches that
    could not be delivered; both since the file was made."""

    batches: int
    size_bytes: int
    limit_bytes: int
    oldest_at: datetime | None
    rows_lost: int
    aside: int


class Spool:
    """Not for two threads at once. Every method raises ServiceError where the disk fails.

    `free_bytes` says how much more the disk could hold; the spool leaves `reserve_bytes` of it.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit_bytes: int = 2 * 1024**3,
        reserve_bytes: int = 64 * 1024**2,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._reserve_bytes = reserve_bytes
        self._free_bytes = free_bytes
        self._file = SpoolFile(path)
        self._epoch = (self._file.note("epoch") or b"").decode() or self._new_epoch()
        self._offered = self._file.number("offered")

    # -- batches in ----------------------------------------------------------------------------

    def append(
        self, drafts: Sequence[Draft], notes: Mapping[str, bytes] | None = None
    ) -> tuple[SpoolStep, ...]:
        """Add batches and set notes, durably and together; return the steps that made room."""
        incoming = sum(file_size(draft.body) for draft in drafts)
        steps: tuple[SpoolStep, ...] = ()
        limit = self._limit()
        if self._file.used_bytes() + incoming > limit:
            steps = shrink(self._file, limit - incoming - self._room(), self._epoch)
        try:
            self._append(drafts, notes or {})
        except ServiceError:
            # The disk is fuller than it said: give up what may be given up, and try once more.
            target = self._file.used_bytes() - incoming - self._room()
            steps += shrink(self._file, target, self._epoch)
            self._append(drafts, notes or {})
        return steps

    def note(self, name: str) -> bytes | None:
        """Return what `append` last stored under that name."""
        return self._file.note(f"note:{name}")

    def _append(self, drafts: Sequence[Draft], notes: Mapping[str, bytes]) -> None:
        with self._file.transaction():
            for draft in drafts:
                self._file.insert(draft, self._epoch)
            for name, value in notes.items():
                self._file.set_note(f"note:{name}", value)

    # -- batches out ---------------------------------------------------------------------------

    def read_group(
        self, max_bytes: int = GROUP_BYTES, max_batches: int = GROUP_BATCHES
    ) -> list[Batch]:
        """Return the oldest batches in order, at least one if there is any.

        From now on they count as offered. A batch that the disk has damaged is put aside.
        """
        group: list[Batch] = []
        damaged: list[Key] = []
        size = 0
        query = "SELECT epoch, seq, kind, rows, digest, body FROM batches ORDER BY seq LIMIT ?"
        for epoch, seq, kind, rows, digest, body in self._file.query(query, (max_batches,)):
            size += len(body)
            if group and size > max_bytes:
                break
            if body_digest(body) == digest:
                group.append(Batch(epoch, seq, BatchKind(kind), rows, digest, body))
            else:
                damaged.append((epoch, seq))
        if damaged:
            self.set_aside(damaged, "damaged", datetime.now(UTC))
        if group and group[-1].seq > self._offered:
            self._offered = group[-1].seq
            self._file.set_note("offered", str(self._offered).encode())
        return group

    def ack(self, keys: Iterable[Key]) -> int:
        """Delete batches that the center has made its own; return how many there were."""
        with self._file.transaction():
            deleted = self._file.change("DELETE FROM batches WHERE epoch = ? AND seq = ?", keys)
        if self._file.unused_bytes() > _UNUSED_BYTES_KEPT:
            self._file.give_back()
        return deleted

    def set_aside(self, keys: Sequence[Key], why: str, now: datetime) -> None:
        """Take batches that cannot be delivered out of the way, and keep the newest of them."""
        with self._file.transaction():
            self._move_aside(keys, why, now)

    def renumber(self, keys: Sequence[Key], now: datetime) -> None:
        """Give batches another key, because the center holds other ones under theirs.

        That happens when an old copy of the file was put back: the center knows its epoch from
        another life, so the epoch changes too. A copy under the old key is put aside as evidence.
        """
        epoch = self._new_epoch()
        with self._file.transaction():
            self._file.change(
                "INSERT INTO batches (epoch, kind, at_ms, rows, size, thinned, digest, body) "
                "SELECT ?, kind, at_ms, rows, size, thinned, digest, body FROM batches "
                "WHERE epoch = ? AND seq = ?",
                [(epoch, *key) for key in keys],
            )
            self._move_aside(keys, "conflict", now)

    def _move_aside(self, keys: Sequence[Key], why: str, now: datetime) -> None:
        self._file.change(
            "INSERT INTO aside (epoch, seq, why, at_ms, kind, rows, digest, body) "
            "SELECT epoch, seq, ?, ?, kind, rows, digest, body FROM batches "
            "WHERE epoch = ? AND seq = ?",
            [(why, milliseconds(now), *key) for key in keys],
        )
        self._file.change("DELETE FROM batches WHERE epoch = ? AND seq = ?", keys)
        self._file.change(
            "DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?", [(MAX_ASIDE,)]
        )

    def state(self) -> SpoolState:
        batches, oldest_ms = next(self._file.query("SELECT count(*), min(at_ms) FROM batches"))
        # Numbers only grow, so this counts those that were since forgotten too.
        aside = next(self._file.query("SELECT coalesce(max(id), 0) FROM aside"))[0]
        return SpoolState(
            batches=batches,
            size_bytes=self._file.used_bytes(),
            limit_bytes=self._limit(),
            oldest_at=None if oldest_ms is None else from_milliseconds(oldest_ms),
            rows_lost=self._file.number("rows_lost"),
            aside=aside,
        )

    def close(self) -> None:
        self._file.close()

    # -- helpers -------------------------------------------------------------------------------

    def _limit(self) -> int:
        if self._free_bytes is None:
            return self._limit_bytes
        held = self._file.file_bytes()
        return min(self._limit_bytes, held + self._free_bytes() - self._reserve_bytes)

    def _room(self) -> int:
        """How much more than needed is made free at once, so that not every append has to."""
        return max(int(self._limit_bytes * _ROOM_SHARE), _LEAST_ROOM_BYTES)

    def _new_epoch(self) -> str:
        self._epoch = secrets.token_hex(8)
        self._file.set_note("epoch", self._epoch.encode())
        return self._epoch
