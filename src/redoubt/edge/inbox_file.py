"""The SQLite file of the inbox: what the center promised to keep, and which keys it has seen.

`sources` numbers every (organisation, site, agent, epoch); `seen` holds the digest of each key
until there are very many, then `ranges` says which keys are behind; `batches` holds bodies until
the mover has carried them on; `groups` is the group under way, at most one.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redoubt.edge.batches import Batch, BatchKind
from redoubt.edge.inbox_shapes import Aside, Conflict, Group, InboxBatch, clip_why
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.packing import LENGTH_BYTES, MAX_PLAIN_BYTES, plain_size
from redoubt.edge.spans import close_oldest, merge_spans, spans_of
from redoubt.model.errors import RemoteProtocolError, ServiceError

MAX_EPOCHS_PER_AGENT = 20
"""A spool's epoch changes when its file is made anew; an agent with more is not working right."""
MAX_RANGES = 10_000
"""Per epoch. An agent's numbers have few gaps; of more than these the oldest close, and a key in
one is a conflict from then on: told, and sent again under a new key."""
MAX_GROUP_BATCHES = 2_000
SEEN_PER_SOURCE = 500_000
"""Digests remembered per epoch: of a batch every 15 s, three months."""
_DIGEST_KEPT = 16
MAX_ASIDE = 200
MAX_ASIDE_BYTES = 64 * 1024 * 1024
MAX_CONFLICTS = 200
"""These three per organisation: none may push out what is kept of another."""

_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "busy_timeout = 5000",
    "journal_size_limit = 67108864",
    "cache_size = -16384",
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    id INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL,
    site TEXT NOT NULL,
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,
    UNIQUE (organisation, site, agent, epoch)
);
CREATE TABLE IF NOT EXISTS seen (
    source INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (source, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranges (
    source INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (source, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    rows INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS groups (
    token TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    UNIQUE (source, seq)
);
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    why TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL
);
"""


_KEEP_NEWEST_CONFLICTS = """
DELETE FROM conflicts WHERE id IN (
    SELECT conflicts.id FROM conflicts JOIN sources ON sources.id = conflicts.source
    WHERE organisation = ? ORDER BY conflicts.id DESC LIMIT -1 OFFSET ?
)
"""
_KEEP_NEWEST_ASIDE = """
DELETE FROM aside WHERE id IN (
    SELECT id FROM (
        SELECT aside.id, row_number() OVER newest AS place, sum(length(body)) OVER newest AS size
        FROM aside JOIN sources ON sources.id = aside.source
        WHERE organisation = ? WINDOW newest AS (ORDER BY aside.id DESC)
    ) WHERE place > ? OR size > ?
)
"""


class InboxFile:
    """Not for two threads at once. Every method raises ServiceError where the disk fails.

    Numbers that any thread may read: `pending_batches`, `pending_rows`, `pending_bytes`.
    """

    def __init__(self, path: Path, seen_per_source: int = SEEN_PER_SOURCE) -> None:
        self._seen_per_source = seen_per_source
        with _translated():
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            self._db.executescript(_SCHEMA)
            # Tokens of another file's groups must never look like ours.
            self._db.execute(
                "INSERT OR IGNORE INTO meta VALUES ('word', ?)", (secrets.token_hex(8),)
            )
        self._word = str(self._one("SELECT value FROM meta WHERE name = 'word'"))
        self.pending_batches, self.pending_rows, self.pending_bytes = next(
            self._query(
                "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(length(body)), 0) "
                "FROM batches"
            )
        )

    def close(self) -> None:
        with _translated():
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens within is on the disk at the end, or has not happened."""
        pending = self.pending_batches, self.pending_rows, self.pending_bytes
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self.pending_batches, self.pending_rows, self.pending_bytes = pending
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # -- in ------------------------------------------------------------------------------------

    def source(self, agent: AgentIdentity, epoch: str) -> int:
        """Return the number of an agent's epoch; RemoteProtocolError where it has too many."""
        with _translated():
            found = self._db.execute(
                "SELECT id FROM sources WHERE organisation = ? AND site = ? AND agent = ? "
                "AND epoch = ?",
                (*agent, epoch),
            ).fetchone()
            if found is not None:
                return int(found[0])
            epochs = self._one(
                "SELECT count(*) FROM sources WHERE organisation = ? AND site = ? AND agent = ?",
                agent,
            )
            if epochs >= MAX_EPOCHS_PER_AGENT:
                raise RemoteProtocolError(f"agent has begun {epochs} spools, which cannot be")
            cursor = self._db.execute(
                "INSERT INTO sources (organisation, site, agent, epoch) VALUES (?, ?, ?, ?)",
                (*agent, epoch),
            )
            return int(cursor.lastrowid or 0)

    def has_seen(self, source: int, batch: Batch) -> bool | None:
        """Whether a batch came before: None where its key did, but not, or not surely, its body.

        Of a key so old that its digest is forgotten nobody can tell. Taking it for the same body
        could swallow a new one, as when an old copy of a spool is put back; so it is a conflict.
        """
        with _translated():
            found = self._db.execute(
                "SELECT digest FROM seen WHERE source = ? AND seq = ?", (source, batch.seq)
            ).fetchone()
            if found is not None:
                return True if found[0] == batch.digest[:_DIGEST_KEPT] else None
            behind = self._db.execute(
                "SELECT last FROM ranges WHERE source = ? AND first <= ? "
                "ORDER BY first DESC LIMIT 1",
                (source, batch.seq),
            ).fetchone()
            return None if behind is not None and batch.seq <= behind[0] else False

    def add(self, source: int, batch: Batch, received_at: datetime) -> None:
        with _translated():
            self._db.execute(
                "INSERT INTO seen VALUES (?, ?, ?)",
                (source, batch.seq, batch.digest[:_DIGEST_KEPT]),
            )
            self._db.execute("UPDATE sources SET seen = seen + 1 WHERE id = ?", (source,))
            self._db.execute(
                "INSERT INTO batches (source, seq, kind, rows, received_ms, body) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    source,
                    batch.seq,
                    batch.kind,
                    batch.rows,
                    _milliseconds(received_at),
                    batch.body,
                ),
            )
        self.pending_batches += 1
        self.pending_rows += batch.rows
        self.pending_bytes += len(batch.body)

    def add_conflict(self, source: int, seq: int, at: datetime) -> None:
        with _translated():
            self._db.execute(
                "INSERT INTO conflicts (source, seq, at_ms) VALUES (?, ?, ?) "
                "ON CONFLICT (source, seq) DO UPDATE SET at_ms = excluded.at_ms",
                (source, seq, _milliseconds(at)),
            )
            organisation = self._one("SELECT organisation FROM sources WHERE id = ?", (source,))
            self._db.execute(_KEEP_NEWEST_CONFLICTS, (organisation, MAX_CONFLICTS))

    # -- on ------------------------------------------------------------------------------------

    def open_group(self, max_rows: int, max_bytes: int) -> Group | None:
        """Return the group under way, or begin one, durably, of the oldest batches there are."""
        found = next(self._query("SELECT token, first, last FROM groups"), None)
        if found is None:
            last = self._last_of_group(max_rows, max_bytes)
            if last is None:
                return None
            first = self._one("SELECT min(id) FROM batches")
            found = (f"{self._word}.{first}-{last}", first, last)
            with self.transaction():
                self._db.execute("INSERT INTO groups VALUES (?, ?, ?)", found)
        token, first, last = found
        rows = self._query(
            "SELECT batches.id, organisation, site, agent, epoch, seq, kind, rows, received_ms, "
            "body FROM batches JOIN sources ON sources.id = batches.source "
            "WHERE batches.id BETWEEN ? AND ? ORDER BY batches.id",
            (first, last),
        )
        return Group(token, tuple(_inbox_batch(row) for row in rows))

    def close_group(
        self, group: Group, asides: Iterable[tuple[InboxBatch, str, bytes]], at: datetime
    ) -> None:
        """Let go of a group that has been carried on, and keep what could not be."""
        with self.transaction():
            for batch, why, body in asides:
                self._db.execute(
                    "INSERT INTO aside (source, seq, kind, why, at_ms, body) "
                    "SELECT source, seq, kind, ?, ?, ? FROM batches WHERE id = ?",
                    (clip_why(why), _milliseconds(at), body, batch.id),
                )
            for organisation in {batch.organisation for batch in group.batches}:
                self._db.execute(_KEEP_NEWEST_ASIDE, (organisation, MAX_ASIDE, MAX_ASIDE_BYTES))
            if group.batches:
                self._db.execute(
                    "DELETE FROM batches WHERE id BETWEEN ? AND ?",
                    (group.batches[0].id, group.batches[-1].id),
                )
            self._db.execute("DELETE FROM groups WHERE token = ?", (group.token,))
            self.pending_batches -= len(group.batches)
            self.pending_rows -= sum(batch.rows for batch in group.batches)
            self.pending_bytes -= sum(len(batch.body) for batch in group.batches)
            self._compact()
        # A bounded amount, so that it is quick.
        for _page in self._query("PRAGMA incremental_vacuum(2000)"):
            pass

    # -- what people ask -----------------------------------------------------------------------

    def conflicts(self) -> tuple[Conflict, ...]:
        rows = self._query(
            "SELECT organisation, site, agent, epoch, seq, at_ms FROM conflicts "
            "JOIN sources ON sources.id = conflicts.source ORDER BY conflicts.id"
        )
        return tuple(
            Conflict(
                organisation=organisation,
                site=site,
                agent=agent,
                epoch=epoch,
                seq=seq,
                at=_from_milliseconds(at_ms),
            )
            for organisation, site, agent, epoch, seq, at_ms in rows
        )

    def asides(self) -> tuple[Aside, ...]:
        rows = self._query(
            "SELECT organisation, site, agent, epoch, seq, kind, why, at_ms FROM aside "
            "JOIN sources ON sources.id = aside.source ORDER BY aside.id"
        )
        return tuple(
            Aside(
                organisation=organisation,
                site=site,
                agent=agent,
                epoch=epoch,
                seq=seq,
                kind=BatchKind(kind),
                why=why,
                at=_from_milliseconds(at_ms),
            )
            for organisation, site, agent, epoch, seq, kind, why, at_ms in rows
        )

    def oldest_at(self) -> datetime | None:
        """Return since when the oldest batch waits."""
        oldest = self._one("SELECT min(received_ms) FROM batches")
        return None if oldest is None else _from_milliseconds(oldest)

    # -- helpers -------------------------------------------------------------------------------

    def _last_of_group(self, max_rows: int, max_bytes: int) -> int | None:
        last, rows, size = None, 0, 0
        for batch, more_rows, head in self._query(
            f"SELECT id, rows, coalesce(substr(body, 1, {LENGTH_BYTES}), x'') FROM batches "  # noqa: S608 - ours
            f"ORDER BY id LIMIT {MAX_GROUP_BATCHES}"
        ):
            plain = plain_size(head)
            # What claims to be larger than may be is never unpacked.
            rows, size = rows + more_rows, size + (plain if plain <= MAX_PLAIN_BYTES else 0)
            if last is not None and (rows > max_rows or size > max_bytes):
                break
            last = batch
        return last

    def _compact(self) -> None:
        """Turn the oldest half of long memories into ranges."""
        long = self._query("SELECT id, seen FROM sources WHERE seen > ?", (self._seen_per_source,))
        for source, have in list(long):
            drop = have - self._seen_per_source // 2
            keys = self._query(
                "SELECT seq FROM seen WHERE source = ? ORDER BY seq LIMIT ?", (source, drop)
            )
            spans = spans_of([seq for (seq,) in keys])
            known = self._query("SELECT first, last FROM ranges WHERE source = ?", (source,))
            merged = close_oldest(merge_spans([*known, *spans]), MAX_RANGES)
            self._db.execute("DELETE FROM ranges WHERE source = ?", (source,))
            self._db.executemany(
                "INSERT INTO ranges VALUES (?, ?, ?)", [(source, *span) for span in merged]
            )
            self._db.execute(
                "DELETE FROM seen WHERE source = ? AND seq <= ?", (source, spans[-1][1])
            )
            self._db.execute("UPDATE sources SET seen = seen - ? WHERE id = ?", (drop, source))

    def _one(self, sql: str, values: Sequence[object] = ()) -> Any:
        return next(self._query(sql, values))[0]

    def _query(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with _translated():
            yield from self._db.execute(sql, values)


def _inbox_batch(row: tuple[Any, ...]) -> InboxBatch:
    batch, organisation, site, agent, epoch, seq, kind, rows, received_ms, body = row
    return InboxBatch(
        id=batch,
        organisation=organisation,
        site=site,
        agent=agent,
        epoch=epoch,
        seq=seq,
        kind=BatchKind(kind),
        rows=rows,
        received_at=_from_milliseconds(received_ms),
        body=body,
    )


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _from_milliseconds(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise ServiceError(f"the inbox's disk does not do its work: {exc}") from exc
