"""One connection to the telemetry store; everything here blocks, and one thread calls it.

`connect` takes a folder (chDB in this process, which must be the only one that opens it) or the
http(s) URL of a ClickHouse server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from redoubt.edge.telemetry.rows import SiteRows, roll_up, store_rows, touched_minutes
from redoubt.edge.telemetry.schema import Retention, create_statements, place_statements
from redoubt.model.errors import ServiceError

QUERY_TIMEOUT_S = 10.0
MAX_INSERT_ROWS = 1_000_000
"""An insert must arrive as one block: its token stands for block number one."""

_TIMEOUT_CODE = 159
_REFUSAL_CODES = frozenset(
    {6, 26, 27, 33, 36, 38, 41, 43, 53, 69, 70, 72, 117, 131, 321, 349, 432, 636}
)
"""ClickHouse's errors that speak of the data: incorrect, not to be parsed or converted, too large,
out of a type's range, null where none may be. All others may pass when the store is well again."""
_INSERT_SETTINGS: Mapping[str, Any] = {
    "max_insert_block_size": MAX_INSERT_ROWS,
    # Rows of a long-dark site fall in as many days as it was dark.
    "max_partitions_per_insert_block": 0,
    # With tokens no hash of the data is needed, and a token means the same on a cluster.
    "insert_deduplicate": 1,
}


class StoreError(ServiceError):
    """The telemetry store did not do what it was asked."""


class StoreRefused(StoreError):
    """The store is well and does not take this data, now or later."""


class StoreTimeout(StoreError):
    """A query took longer than it may."""


class Store:
    """Tables, inserts that count once, and queries that end."""

    def __init__(self, client: Client, incoming: Path | None, retention: Retention) -> None:
        self._client = client
        self._incoming = incoming
        with _errors():
            for statement in create_statements(retention):
                client.command(statement)

    def insert(
        self,
        token: str,
        slices: Sequence[SiteRows],
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> int:
        """Insert samples and their roll-ups under `token`; the same token again changes nothing.

        The same token must come with the same rows. `on_step` is told the name of each table
        before it is written. Returns the number of rows. Raises StoreError.
        """
        slices = [rows for rows in slices if rows.table.num_rows]
        if not slices:
            return 0
        rows = store_rows(slices)
        if rows.num_rows > MAX_INSERT_ROWS:
            raise StoreError(f"an insert of {rows.num_rows} rows is over {MAX_INSERT_ROWS}")
        minutes = roll_up(rows)
        on_step("samples")
        self._insert_arrow("samples", token, rows)
        on_step("machine_minute")
        self._insert_arrow("machine_minute", token, minutes)
        on_step("places")
        for where in _touched_ranges(touched_minutes(minutes)):
            for statement in place_statements(where):
                self.command(statement)
        return rows.num_rows

    def query(self, sql: str, parameters: Mapping[str, Any], timeout_s: float) -> pa.Table:
        """Return the rows of a query. Raises StoreTimeout after `timeout_s`, else StoreError."""
        with _errors():
            return self._client.query_arrow(
                sql,
                parameters=dict(parameters),
                settings={"max_execution_time": timeout_s},
                use_strings=True,
            )

    def command(self, sql: str) -> None:
        with _errors():
            self._client.command(sql)

    def close(self) -> None:
        with _errors():
            self._client.close()

    def _insert_arrow(self, table: str, token: str, rows: pa.Table) -> None:
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        body = _arrow_stream(rows)
        with _errors():
            if self._incoming is None:
                self._client.raw_insert(
                    table,
                    column_names=rows.column_names,
                    insert_block=body.to_pybytes(),
                    fmt="ArrowStream",
                    settings=settings,
                )
            else:
                self._insert_file(self._incoming / f"{table}.arrow", table, rows, body, settings)

    def _insert_file(
        self, path: Path, table: str, rows: pa.Table, body: pa.Buffer, settings: Mapping[str, Any]
    ) -> None:
        """Insert from a file of our own folder: the client's would lie in the system's /tmp."""
        path.write_bytes(body)
        columns = ", ".join(rows.column_names)
        clause = ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
        try:
            self._client.command(
                f"INSERT INTO {table} ({columns}) FROM INFILE {_literal(str(path))} "
                f"SETTINGS {clause} FORMAT ArrowStream"
            )
        finally:
            path.unlink(missing_ok=True)
        self._sync_tokens(path.parent.parent)

    def _sync_tokens(self, folder: Path) -> None:
        """Bring the logs of tokens to the disk.

        chDB makes a part durable (`fsync_after_insert`) but not the note of its token: after a
        power cut within the next half minute a repeated insert would have counted twice.
        """
        try:
            for log in folder.glob("chdb/store/*/*/deduplication_logs/*.txt"):
                descriptor = os.open(log, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            # A log was replaced by a newer one, which chDB has written whole.
            return
        except OSError as exc:
            raise StoreError(f"the telemetry store's disk does not do its work: {exc}") from exc


def connect(place: Path | str, retention: Retention) -> Store:
    """Open the store and make what is missing in it. Raises StoreError."""
    if isinstance(place, str) and place.startswith(("http://", "https://")):
        with _errors():
            return Store(clickhouse_connect.get_client(dsn=place), None, retention)
    folder = Path(place)
    incoming = folder / "incoming"
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
    except OSError as exc:
        raise StoreError(f"cannot make the telemetry folder {str(folder)!r}: {exc}") from exc
    with _errors():
        client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "chdb"))
        return Store(client, incoming, retention)


def sql_time(at: datetime) -> str:
    """Return a UTC time as a literal, to the millisecond."""
    utc = at.astimezone(UTC)
    return f"toDateTime64('{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d}', 3, 'UTC')"


@contextmanager
def _errors() -> Iterator[None]:
    """Translate the client's errors into ours."""
    try:
        yield
    except ClickHouseError as exc:
        code = getattr(exc, "code", None)
        if code == _TIMEOUT_CODE:
            raise StoreTimeout("the telemetry store took too long over a query") from exc
        if code in _REFUSAL_CODES:
            raise StoreRefused(f"telemetry store: {str(exc)[:500]}") from exc
        raise StoreError(f"telemetry store: {str(exc)[:500]}") from exc


def _touched_ranges(touched: pa.Table) -> Iterator[str]:
    """Yield one condition per site: its hours (the tables' order), and within them its minutes."""
    spans: dict[tuple[str, str], tuple[set[datetime], set[datetime]]] = {}
    columns = [touched.column(name).to_pylist() for name in touched.column_names]
    for organisation, site, hour, minute in zip(*columns, strict=True):
        hours, minutes = spans.setdefault((organisation, site), (set(), set()))
        hours.add(hour)
        minutes.add(minute)
    for (organisation, site), (hours, minutes) in spans.items():
        yield (
            f"organisation = {_literal(organisation)} AND site = {_literal(site)}"
            f" AND hour IN ({_times(hours)}) AND minute IN ({_times(minutes)})"
        )


def _times(times: set[datetime]) -> str:
    return ", ".join(f"'{time:%Y-%m-%d %H:%M:%S}'" for time in sorted(times))


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _arrow_stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()
