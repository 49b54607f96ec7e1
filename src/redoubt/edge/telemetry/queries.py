"""Series out of the store: SQL text, its parameters, and the columns that come back.

A series is cut into equal buckets of `step_s`; a bucket without rows is None in every column, so
that a gap looks like one. A machine's series comes from its raw rows, which lie together, or over
a longer time from its minutes. Places come from minutes always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from redoubt.model.errors import InputError

MAX_POINTS = 5_000
RAW_SPAN_S = 36 * 3600
"""Up to here a machine's raw rows come sooner than its minutes: 5 ms a day against 15."""

MACHINE_MEASURES: Mapping[str, tuple[str, str]] = {
    # name: (from machine_minute, from samples)
    "hashrate_hs": ("sum(hashrate_sum) / nullIf(sum(hashrate_count), 0)", "avg(hashrate_hs)"),
    "power_w": ("sum(power_sum) / nullIf(sum(power_count), 0)", "avg(power_w)"),
    "temp_board_max_c": ("max(temp_board_max_c)", "max(temp_board_max_c)"),
    "temp_chip_max_c": ("max(temp_chip_max_c)", "max(temp_chip_max_c)"),
    "fan_min_rpm": ("min(fan_min_rpm)", "min(fan_min_rpm)"),
    "fan_max_rpm": ("max(fan_max_rpm)", "max(fan_max_rpm)"),
    "uptime_s": ("max(uptime_s)", "max(uptime_s)"),
    "accepted": ("max(accepted)", "max(accepted)"),
    "rejected": ("max(rejected)", "max(rejected)"),
    "stale": ("max(stale)", "max(stale)"),
    "boards_hashing": ("min(boards_hashing)", "min(boards_hashing)"),
    "chips_hashing": ("min(chips_hashing)", "min(chips_hashing)"),
    "hashing_share": ("sum(hashing) / sum(samples)", "countIf(state = 'hashing') / count()"),
    "answered_share": ("sum(answered) / sum(samples)", "countIf(state != 'offline') / count()"),
}
"""What a machine's series may hold; shares are 0 to 1 of the bucket's samples."""

PLACE_MEASURES: Mapping[str, tuple[str, str]] = {
    # name: (over a place's minutes, over places)
    "hashrate_hs": ("avg(hashrate_hs)", "sum"),
    "power_w": ("if(sum(powered) = 0, NULL, avg(power_w))", "sum"),
    "machines": ("avg(machines)", "sum"),
    "hashing": ("avg(hashing)", "sum"),
    "answered": ("avg(answered)", "sum"),
    "powered_hashrate_hs": ("if(sum(powered) = 0, NULL, avg(powered_hashrate_hs))", "sum"),
    "temp_board_max_c": ("max(temp_board_max_c)", "max"),
    "temp_chip_max_c": ("max(temp_chip_max_c)", "max"),
}
"""What a rack's, a site's or the fleet's series holds, besides `efficiency_j_per_th`."""


class Series(msgspec.Struct, frozen=True):
    """Columns over time. `at[i]` is the epoch second at which bucket i begins."""

    step_s: int
    at: list[int]
    columns: dict[str, list[float | None]]

    @property
    def is_empty(self) -> bool:
        return all(value is None for column in self.columns.values() for value in column)


class Buckets(msgspec.Struct, frozen=True):
    start_s: int
    step_s: int
    count: int

    @property
    def end_s(self) -> int:
        return self.start_s + self.step_s * self.count


class Query(msgspec.Struct, frozen=True):
    sql: str
    parameters: dict[str, Any]
    buckets: Buckets


def plan_buckets(start: datetime, end: datetime, points: int) -> Buckets:
    """Return at most `points` equal buckets of whole seconds that cover start to end.

    Raises InputError where there is nothing to cover, or too many points are asked for.
    """
    if not 1 <= points <= MAX_POINTS:
        raise InputError(f"expected 1 to {MAX_POINTS} points, got {points}")
    span_s = math.ceil((end - start).total_seconds())
    if span_s <= 0:
        raise InputError("expected a start before the end of the series")
    start_s = math.floor(start.timestamp())
    step_s = math.ceil(span_s / points)
    return Buckets(start_s, step_s, math.ceil(span_s / step_s))


def machine_query(
    organisation: str,
    site: str,
    machine: str,
    buckets: Buckets,
    measures: tuple[str, ...],
    from_minutes: bool,
) -> Query:
    """Return the query for one machine. Raises InputError for a measure that is none."""
    unknown = [name for name in measures if name not in MACHINE_MEASURES]
    if unknown:
        raise InputError(f"no measure {unknown[0]!r}; expected of {', '.join(MACHINE_MEASURES)}")
    fields = ", ".join(
        f"{MACHINE_MEASURES[name][0 if from_minutes else 1]} AS m_{name}" for name in measures
    )
    table, time = ("machine_minute", "minute") if from_minutes else ("samples", "at")
    # The hour stands before the machine in the order of machine_minute.
    hours = "AND hour >= toStartOfHour({start:DateTime('UTC')}) AND hour < {end:DateTime('UTC')}"
    sql = (
        f"SELECT {_bucket(time)} AS bucket, {fields} FROM {table}"  # noqa: S608 - names are ours, values bound
        " WHERE organisation = {organisation:String} AND site = {site:String}"
        " AND machine = {machine:String}"
        f" {hours if from_minutes else ''} AND {_within(time)} GROUP BY bucket"
    )
    parameters = {
        "organisation": organisation,
        "site": site,
        "machine": machine,
        **_bounds(buckets),
    }
    return Query(sql, parameters, buckets)


def place_query(
    organisation: str, buckets: Buckets, site: str | None = None, rack: str | None = None
) -> Query:
    """Return the query for a rack, a site, or (site None) the organisation's whole fleet."""
    inner = ", ".join(f"{sql} AS i_{name}" for name, (sql, _how) in PLACE_MEASURES.items())
    outer = ", ".join(f"{how}(i_{name}) AS m_{name}" for name, (_, how) in PLACE_MEASURES.items())
    table = "site_minute" if rack is None else "rack_minute"
    where = "organisation = {organisation:String}"
    parameters = {"organisation": organisation, **_bounds(buckets)}
    for name, value in (("site", site), ("rack", rack)):
        if value is not None:
            where += f" AND {name} = {{{name}:String}}"
            parameters[name] = value
    sql = (
        f"SELECT bucket, {outer} FROM ("  # noqa: S608 - names are ours, values bound
        f"SELECT site, {_bucket('minute')} AS bucket, {inner} FROM {table} FINAL"
        f" WHERE {where} AND {_within('minute')} GROUP BY site, bucket) GROUP BY bucket"
    )
    return Query(sql, parameters, buckets)


def series_of(rows: pa.Table, buckets: Buckets) -> Series:
    """Return rows of (bucket, m_…) as a series without holes in its time."""
    places: list[Any] = rows.column("bucket").to_pylist()
    columns: dict[str, list[float | None]] = {}
    for name in rows.column_names:
        if name == "bucket":
            continue
        column: list[float | None] = [None] * buckets.count
        for place, value in zip(places, rows.column(name).to_pylist(), strict=True):
            column[place] = value
        columns[name.removeprefix("m_")] = column
    at = [buckets.start_s + buckets.step_s * index for index in range(buckets.count)]
    return Series(buckets.step_s, at, columns)


def with_efficiency(series: Series) -> Series:
    """Return a place's series with `efficiency_j_per_th` of the machines that say their watts."""
    columns = dict(series.columns)
    rates = columns.pop("powered_hashrate_hs")
    columns["efficiency_j_per_th"] = [
        None if not rate or power is None else power / (rate / 1e12)
        for rate, power in zip(rates, columns["power_w"], strict=True)
    ]
    return msgspec.structs.replace(series, columns=columns)


def _bucket(time: str) -> str:
    return f"intDiv(toUnixTimestamp({time}) - {{start_s:Int64}}, {{step_s:Int64}})"


def _within(time: str) -> str:
    return f"{time} >= {{start:DateTime('UTC')}} AND {time} < {{end:DateTime('UTC')}}"


def _bounds(buckets: Buckets) -> dict[str, Any]:
    return {
        "start_s": buckets.start_s,
        "step_s": buckets.step_s,
        "start": datetime.fromtimestamp(buckets.start_s, UTC),
        "end": datetime.fromtimestamp(buckets.end_s, UTC),
    }
