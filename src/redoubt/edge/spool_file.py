"""The SQLite file of a spool: its tables, its transactions, its size. `spool` gives it meaning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from redoubt.edge.batches import BatchKind, body_digest
from redoubt.model.errors import ServiceError

_ROW_OVERHEAD = 160
_PAGE_BYTES = 4096

_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "busy_timeout = 5000",
    "journal_size_limit = 33554432",
    "cache_size = -4096",
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    thinned INTEGER NOT NULL,
    digest BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS batches_by_age ON batches (kind, thinned, at_ms);
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    why TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    rows INTEGER NOT NULL,
    digest BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class Draft(msgspec.Struct, frozen=True):
    """A batch before it has a key. `at` is when what it tells began."""

    kind: BatchKind
    rows: int
    body: bytes
    at: datetime


class SpoolDamaged(ServiceError):
    """The file is no database, or one whose pages are not what they should be."""


class SpoolFile:
    """Not for two threads at once. Every method raises ServiceError where the disk fails."""

    def __init__(self, path: Path) -> None:
        with _translated():
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with _translated():
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens within is on the disk at the end, or has not happened."""
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def query(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows as SQLite finds them."""
        with _translated():
            yield from self._db.execute(sql, values)

    def change(self, sql: str, rows: Iterable[Sequence[object]] = ((),)) -> int:
        """Run a statement for each of `rows`; return how many rows of the file it changed."""
        with _translated():
            return self._db.executemany(sql, rows).rowcount

    def insert(self, draft: Draft, epoch: str, *, thinned: bool = False) -> None:
        values = (
            epoch,
            draft.kind,
            milliseconds(draft.at),
            draft.rows,
            file_size(draft.body),
            thinned,
            body_digest(draft.body),
            draft.body,
        )
        self.change(
            "INSERT INTO batches (epoch, kind, at_ms, rows, size, thinned, digest, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [values],
        )

    # -- notes ---------------------------------------------------------------------------------

    def note(self, name: str) -> bytes | None:
        found = next(self.query("SELECT value FROM notes WHERE name = ?", (name,)), None)
        return None if found is None else bytes(found[0])

    def set_note(self, name: str, value: bytes) -> None:
        self.change("INSERT OR REPLACE INTO notes VALUES (?, ?)", [(name, value)])

    def count_up(self, name: str, by: int) -> None:
        """Add to a number that is kept as a note."""
        self.set_note(name, str(self.number(name) + by).encode())

    def number(self, name: str) -> int:
        return int(self.note(name) or 0)

    # -- size ----------------------------------------------------------------------------------

    def file_bytes(self) -> int:
        return self._pragma("page_count") * self._pragma("page_size")

    def used_bytes(self) -> int:
        """What the file holds; deleted pages are used again, so they count as free."""
        return self.file_bytes() - self.unused_bytes()

    def unused_bytes(self) -> int:
        return self._pragma("freelist_count") * self._pragma("page_size")

    def give_back(self) -> None:
        """Return some unused pages to the disk; a bounded amount, so that it is quick."""
        with _translated():
            self._db.execute("PRAGMA incremental_vacuum(4000)").fetchall()

    def _pragma(self, name: str) -> int:
        with _translated():
            return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])


def file_size(body: bytes) -> int:
    """About how many bytes of the file a batch takes: bodies lie on pages of their own."""
    return len(body) + _ROW_OVERHEAD + _PAGE_BYTES // 2


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def from_milliseconds(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as exc:
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            raise SpoolDamaged(f"the spool is damaged: {exc}") from exc
        raise ServiceError(f"the spool cannot be used: {exc}") from exc
    except (sqlite3.Error, OSError) as exc:
        raise ServiceError(f"the spool cannot be used: {exc}") from exc
