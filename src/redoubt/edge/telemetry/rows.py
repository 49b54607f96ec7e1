"""Arrow rows on their way into the store: place added, digits shortened, minutes rolled up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute

from redoubt.model.ids import OrganisationId, SiteId

_Column = Any
pc: Any = pyarrow.compute
"""Untyped: its stubs know too little of chunked arrays."""

MANTISSA_BITS = 14
"""Kept of a hashrate and of watts: a part in 32,768. A machine's own short average wavers a hundred
times more, and the bits below would cost two bytes of noise in every row. Sums stay exact."""

_FLOAT32_MANTISSA_BITS = 23
_NARROW = {
    "fan_min_rpm": np.iinfo(np.int32),
    "fan_max_rpm": np.iinfo(np.int32),
    "boards_hashing": np.iinfo(np.int16),
    "chips_hashing": np.iinfo(np.int32),
}
_FLOATS = ("power_w", "temp_board_max_c", "temp_chip_max_c")
_WORD = pa.dictionary(pa.int32(), pa.string())

_MINUTE_KEYS = ("organisation", "site", "hour", "machine", "minute", "rack")
_AGGREGATES: tuple[tuple[str, str, str], ...] = (
    ("at", "max", "last_at"),
    ("machine", "count", "samples"),
    ("is_hashing", "sum", "hashing"),
    ("is_answering", "sum", "answered"),
    ("hashrate_hs", "sum", "hashrate_sum"),
    ("hashrate_hs", "count", "hashrate_count"),
    ("power_w", "sum", "power_sum"),
    ("power_w", "count", "power_count"),
    ("temp_board_max_c", "max", "temp_board_max_c"),
    ("temp_chip_max_c", "max", "temp_chip_max_c"),
    ("fan_min_rpm", "min", "fan_min_rpm"),
    ("fan_max_rpm", "max", "fan_max_rpm"),
    ("uptime_s", "max", "uptime_s"),
    ("accepted", "max", "accepted"),
    ("rejected", "max", "rejected"),
    ("stale", "max", "stale"),
    ("boards_hashing", "min", "boards_hashing"),
    ("chips_hashing", "min", "chips_hashing"),
)
_SUMS_FROM_ZERO = ("hashrate_sum", "power_sum")


class SiteRows(msgspec.Struct, frozen=True):
    """Samples of one site (SAMPLE_SCHEMA); organisation and site come from the certificate."""

    organisation: OrganisationId
    site: SiteId
    table: pa.Table


def store_rows(slices: Sequence[SiteRows]) -> pa.Table:
    """Return all slices as one table of one chunk, with the columns of `samples`."""
    placed = [_with_place(rows) for rows in slices]
    table = pa.concat_tables(placed).unify_dictionaries().combine_chunks()
    for name in _FLOATS:
        table = _replace(table, name, _finite(table.column(name)))
    for name in ("hashrate_hs", "power_w"):
        table = _replace(table, name, _shorten(table.column(name)))
    for name, narrow in _NARROW.items():
        table = _replace(table, name, _clip(table.column(name), narrow))
    return table


def roll_up(rows: pa.Table) -> pa.Table:
    """Return the minutes of `store_rows`, with the columns of `machine_minute`."""
    at: _Column = rows.column("at")
    state: _Column = rows.column("state")
    wide = rows.append_column("minute", pc.floor_temporal(at, unit="minute"))
    wide = wide.append_column("hour", pc.floor_temporal(at, unit="hour"))
    wide = wide.append_column("is_hashing", pc.equal(state, "hashing"))
    wide = wide.append_column("is_answering", pc.not_equal(state, "offline"))
    for name in ("hashrate_hs", "power_w"):
        wide = _replace(wide, name, pc.cast(wide.column(name), pa.float64()))
    wanted: list[Any] = [(column, how) for column, how, _ in _AGGREGATES]
    grouped = wide.group_by(list(_MINUTE_KEYS), use_threads=False).aggregate(wanted)
    columns: dict[str, _Column] = {name: grouped.column(name) for name in _MINUTE_KEYS}
    for column, how, name in _AGGREGATES:
        columns[name] = grouped.column(f"{column}_{how}")
    for name in _SUMS_FROM_ZERO:
        columns[name] = pc.fill_null(columns[name], 0.0)
    for name in ("hour", "minute"):
        columns[name] = pc.cast(columns[name], pa.timestamp("s", tz="UTC"))
    return pa.table(columns).combine_chunks()


def touched_minutes(minutes: pa.Table) -> pa.Table:
    """Return the distinct (organisation, site, hour, minute) of rolled-up rows."""
    keys = ["organisation", "site", "hour", "minute"]
    return minutes.select(keys).group_by(keys, use_threads=False).aggregate([])


def _with_place(rows: SiteRows) -> pa.Table:
    count = rows.table.num_rows
    indices: Any = pa.array(np.zeros(count, dtype=np.int32))
    table = rows.table
    for name, word in (("site", rows.site), ("organisation", rows.organisation)):
        place = pa.DictionaryArray.from_arrays(indices, pa.array([word], pa.string()))
        table = table.add_column(0, pa.field(name, _WORD), place)
    return table


def _shorten(values: _Column) -> _Column:
    """Return values as float32, rounded to MANTISSA_BITS."""
    plain: _Column = pc.fill_null(pc.cast(values, pa.float32(), safe=False), 0.0)
    bits = plain.to_numpy().astype(np.float32).view(np.uint32).copy()
    dropped = _FLOAT32_MANTISSA_BITS - MANTISSA_BITS
    bits += np.uint32(1 << (dropped - 1))
    bits &= np.uint32(0xFFFFFFFF ^ ((1 << dropped) - 1))
    rounded = pa.array(bits.view(np.float32))
    known = pc.is_valid(values).combine_chunks()
    return pa.chunked_array([pc.if_else(known, rounded, pa.scalar(None, pa.float32()))])


def _finite(values: _Column) -> _Column:
    """Return values with null for what is no number: one NaN would spoil every sum it enters."""
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))


def _clip(values: _Column, narrow: Any) -> _Column:
    """Return values as a narrower integer; a claim beyond its range is kept as its end."""
    low, high = (pa.scalar(int(limit), pa.int64()) for limit in (narrow.min, narrow.max))
    # A null in one argument must not be taken for the other's value.
    below = pc.min_element_wise(values, high, skip_nulls=False)
    return pc.cast(pc.max_element_wise(below, low, skip_nulls=False), f"int{narrow.bits}")


def _replace(table: pa.Table, name: str, column: _Column) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
