"""The newest row of every machine, read once when the center starts.

The roll-up says cheaply when each machine was last heard of. Most of a site's machines were last
read within one minute of each other, so their rows are then fetched by few short spans of time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redoubt.edge.batches import SAMPLE_SCHEMA
from redoubt.edge.telemetry.rows import SiteRows
from redoubt.edge.telemetry.store import Store
from redoubt.model.ids import OrganisationId, SiteId

_SPAN = timedelta(minutes=10)
_MAX_SPANS = 200
"""Spans read at most; machines last heard of in more are found again when they answer."""

_HEARD = """
SELECT organisation, site, intDiv(toUnixTimestamp(last), {span:Int64}) AS span
FROM (
    SELECT organisation, site, machine, max(last_at) AS last FROM machine_minute
    WHERE hour >= {since:DateTime('UTC')} AND hour <= {until:DateTime('UTC')}
    GROUP BY organisation, site, machine
)
GROUP BY organisation, site, span ORDER BY span DESC LIMIT {limit:Int64}
"""

_NEWEST = """
SELECT organisation, site, at, rack, slot, machine, state, power_kind, hashrate_hs, power_w,
    temp_board_max_c, temp_chip_max_c, fan_min_rpm, fan_max_rpm, uptime_s, accepted, rejected,
    stale, boards_hashing, chips_hashing
FROM samples
WHERE organisation = {organisation:String} AND site = {site:String}
    AND at >= {start:DateTime('UTC')} AND at < {end:DateTime('UTC')}
ORDER BY at DESC LIMIT 1 BY machine
"""


def read(store: Store, since: datetime, until: datetime, timeout_s: float) -> list[SiteRows]:
    """Return per site and span of time the newest rows, newest first; a machine may be in several.

    Whoever takes them keeps the newest of each machine.
    """
    span_s = int(_SPAN.total_seconds())
    parameters = {"span": span_s, "since": since, "until": until, "limit": _MAX_SPANS}
    heard = store.query(_HEARD, parameters, timeout_s).to_pylist()
    found = []
    for row in heard:
        start = datetime.fromtimestamp(row["span"] * span_s, UTC)
        rows = store.query(
            _NEWEST,
            {
                "organisation": row["organisation"],
                "site": row["site"],
                "start": start,
                "end": start + _SPAN,
            },
            timeout_s,
        )
        site, organisation = SiteId(row["site"]), OrganisationId(row["organisation"])
        found.append(SiteRows(organisation, site, _as_samples(rows)))
    return found


def _as_samples(rows: pa.Table) -> pa.Table:
    """Return rows with exactly SAMPLE_SCHEMA."""
    columns: list[Any] = []
    for field in SAMPLE_SCHEMA:
        column: Any = rows.column(field.name)
        if pa.types.is_dictionary(field.type):
            plain = pc.cast(column, pa.string()).combine_chunks()
            columns.append(plain.dictionary_encode())
        else:
            columns.append(pc.cast(column, field.type, safe=False))
    return pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA)
