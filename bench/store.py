"""The telemetry store: bytes per row on disk after a realistic day, and how fast a series comes.

Must reach: at most 8 bytes per row (a sample of state, place and 12 measures), 24 h of one machine
in 300 points within 50 ms at the API. A day is 1,000 virtual machines every 15 s: 5.76 M rows.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from redoubt.edge.telemetry import SiteRows, Telemetry
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId
from redoubt.world.load.day import DAY_SWEEPS, day

MACHINES = 1000
SWEEPS_PER_INSERT = 120
JITTER_MS = 50
RUNS = 20
ORGANISATION, SITE = OrganisationId("bench"), SiteId("bunker")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> None:
    start = (datetime.now(UTC) - timedelta(days=1)).replace(hour=0, minute=0, second=0)
    start = start.replace(microsecond=0)
    telemetry = await Telemetry.open(folder)
    rows, spent_s = 0, 0.0
    for number, table in enumerate(day_tables(start, DAY_SWEEPS, SWEEPS_PER_INSERT)):
        began = time.perf_counter()
        rows += await telemetry.insert(f"day.{number}", [SiteRows(ORGANISATION, SITE, table)])
        spent_s += time.perf_counter() - began
    print(f"store alone, with roll-ups: {rows:,} rows in {spent_s:.1f} s, {rows / spent_s:,.0f}/s")
    await telemetry.compact()
    await _print_sizes(telemetry, rows)
    await _print_series(telemetry, start)
    await telemetry.close()


def day_tables(start: datetime, sweeps: int, per_table: int) -> Iterator[pa.Table]:
    """Yield the day in tables of some sweeps; replies come some milliseconds sooner or later."""
    rng = np.random.default_rng(1)
    batches = []
    for batch in day(MACHINES, seed=1, start=start, sweeps=sweeps):
        jitter = pa.array(rng.integers(0, JITTER_MS, batch.num_rows), pa.duration("ms"))
        at: Any = pyarrow.compute.add(batch.column("at"), jitter)
        batches.append(batch.set_column(0, batch.schema.field("at"), at))
        if len(batches) == per_table:
            yield pa.Table.from_batches(batches)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches)


async def _print_sizes(telemetry: Telemetry, rows: int) -> None:
    sizes = await telemetry.query(
        "SELECT table, sum(bytes_on_disk) AS size, sum(rows) AS n FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY size DESC"
    )
    total = 0
    for part in sizes.to_pylist():
        total += part["size"]
        print(
            f"  {part['table']}: {part['n']:,} rows, {part['size'] / part['n']:.2f} bytes each"
            + (" (must reach 8)" if part["table"] == "samples" else "")
        )
    print(f"  all tables, per sample: {total / rows:.2f} bytes")
    columns = await telemetry.query(
        "SELECT column, sum(column_data_compressed_bytes) AS size FROM system.parts_columns"
        " WHERE active AND table = 'samples' AND database = currentDatabase()"
        " GROUP BY column ORDER BY size DESC LIMIT 6"
    )
    largest = ", ".join(f"{c['column']} {c['size'] / rows:.2f}" for c in columns.to_pylist())
    print(f"  largest columns, bytes per row: {largest}")


async def _print_series(telemetry: Telemetry, start: datetime) -> None:
    end = start + timedelta(days=1)
    found = await telemetry.query("SELECT machine, rack FROM samples LIMIT 1")
    machine = MachineId(str(found.column("machine")[0]))
    rack = RackId(str(found.column("rack")[0]))
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "one machine, 24 h in 300 points": lambda: telemetry.machine_series(
            ORGANISATION, SITE, machine, start, end, 300
        ),
        "one machine, 2 h of raw rows": lambda: telemetry.machine_series(
            ORGANISATION, SITE, machine, end - timedelta(hours=2), end, 300
        ),
        "a rack, 24 h": lambda: telemetry.rack_series(ORGANISATION, SITE, rack, start, end),
        "the site, 24 h": lambda: telemetry.site_series(ORGANISATION, SITE, start, end),
        "the fleet, 24 h": lambda: telemetry.fleet_series(ORGANISATION, start, end),
        "latest rows at a restart": lambda: telemetry.latest_rows(start, end),
    }
    for name, ask in asked.items():
        times_ms = []
        for _ in range(RUNS):
            began = time.perf_counter()
            await ask()
            times_ms.append((time.perf_counter() - began) * 1000)
        median = statistics.median(times_ms)
        print(f"  {name}: median {median:.0f} ms, slowest {max(times_ms):.0f} ms of {RUNS}")


if __name__ == "__main__":
    main()
