"""`Telemetry`: the store for coroutines.

One thread owns the connection and does one job at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from redoubt.edge.telemetry import latest_rows
from redoubt.edge.telemetry.queries import (
    MACHINE_MEASURES,
    RAW_SPAN_S,
    Buckets,
    Query,
    Series,
    machine_query,
    place_query,
    plan_buckets,
    series_of,
    with_efficiency,
)
from redoubt.edge.telemetry.rows import SiteRows
from redoubt.edge.telemetry.schema import DEFAULT_RETENTION, TABLES, Retention
from redoubt.edge.telemetry.store import QUERY_TIMEOUT_S, Store, connect
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId

_Result = TypeVar("_Result")


class Telemetry:
    """Every sample, and series of them. Made by `open`; all errors are StoreError."""

    def __init__(self, store: Store, thread: ThreadPoolExecutor, query_timeout_s: float) -> None:
        self._store = store
        self._thread = thread
        self._query_timeout_s = query_timeout_s

    @classmethod
    async def open(
        cls,
        place: Path | str,
        retention: Retention = DEFAULT_RETENTION,
        query_timeout_s: float = QUERY_TIMEOUT_S,
    ) -> Telemetry:
        """Open a folder (embedded; one process at a time) or a ClickHouse server's URL."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="telemetry")
        loop = asyncio.get_running_loop()
        try:
            store = await loop.run_in_executor(thread, connect, place, retention)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(store, thread, query_timeout_s)

    async def close(self) -> None:
        await self._run(self._store.close)
        self._thread.shutdown(wait=False)

    async def insert(
        self,
        token: str,
        slices: Sequence[SiteRows],
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> int:
        """Insert samples with their roll-ups, once per token; return the number of rows."""
        return await self._run(lambda: self._store.insert(token, slices, on_step))

    async def machine_series(
        self,
        organisation: OrganisationId,
        site: SiteId,
        machine: MachineId,
        start: datetime,
        end: datetime,
        points: int = 300,
        measures: Sequence[str] = tuple(MACHINE_MEASURES),
    ) -> Series:
        """Return one machine's measures at one site from start to end."""
        buckets = plan_buckets(start, end, points)
        wanted = tuple(measures)
        if buckets.end_s - buckets.start_s <= RAW_SPAN_S:
            series = await self._series(
                machine_query(organisation, site, machine, buckets, wanted, from_minutes=False),
                buckets,
            )
            # Raw rows may be gone already where minutes are still kept.
            if buckets.step_s < 60 or not series.is_empty:
                return series
        return await self._series(
            machine_query(organisation, site, machine, buckets, wanted, from_minutes=True), buckets
        )

    async def rack_series(
        self,
        organisation: OrganisationId,
        site: SiteId,
        rack: RackId,
        start: datetime,
        end: datetime,
        points: int = 300,
    ) -> Series:
        """Return PLACE_MEASURES and `efficiency_j_per_th`; the running minute is left out."""
        buckets = _whole_minutes(start, end, points)
        return with_efficiency(
            await self._series(place_query(organisation, buckets, site, rack), buckets)
        )

    async def site_series(
        self,
        organisation: OrganisationId,
        site: SiteId,
        start: datetime,
        end: datetime,
        points: int = 300,
    ) -> Series:
        """As `rack_series`, of a site."""
        buckets = _whole_minutes(start, end, points)
        return with_efficiency(
            await self._series(place_query(organisation, buckets, site), buckets)
        )

    async def fleet_series(
        self, organisation: OrganisationId, start: datetime, end: datetime, points: int = 300
    ) -> Series:
        """As `rack_series`, of all sites: what each site averages in a bucket, summed."""
        buckets = _whole_minutes(start, end, points)
        return with_efficiency(await self._series(place_query(organisation, buckets), buckets))

    async def latest_rows(self, since: datetime, until: datetime) -> list[SiteRows]:
        """Return the newest row of every machine heard of in between, per site, to start from."""
        return await self._run(
            lambda: latest_rows.read(self._store, since, until, self._query_timeout_s)
        )

    async def compact(self) -> None:
        """Merge all parts now; a figure of bytes per row is true only then."""
        for table in TABLES:
            await self._run(partial(self._store.command, f"OPTIMIZE TABLE {table} FINAL"))

    async def query(self, sql: str, parameters: dict[str, object] | None = None) -> pa.Table:
        """Run a query of one's own: for tests, benches and people who know the schema."""
        return await self._run(
            lambda: self._store.query(sql, parameters or {}, self._query_timeout_s)
        )

    async def _series(self, query: Query, buckets: Buckets) -> Series:
        rows = await self._run(
            lambda: self._store.query(query.sql, query.parameters, self._query_timeout_s)
        )
        return series_of(rows, buckets)

    async def _run(self, job: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _whole_minutes(start: datetime, end: datetime, points: int) -> Buckets:
    """Plan buckets up to the last whole minute: a running one has not heard every machine yet."""
    whole = end.replace(second=0, microsecond=0)
    whole = max(whole, start + timedelta(minutes=1))
    minutes = max(1, int((whole - start).total_seconds() // 60))
    return plan_buckets(start, whole, min(points, minutes))
