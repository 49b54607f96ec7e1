"""The tables of the telemetry store.

`samples` holds raw rows. `machine_minute` holds one row per machine and minute in sums that add
up, so rows that arrive late simply join in. `rack_minute` and `site_minute` cannot be added up (a
rack's hashrate is the sum of its machines' averages), so touched minutes are computed anew from
`machine_minute`; of two versions of a minute the one that rests on more samples is the fresher.

No materialised views: a repeated insert is dropped by a table's own deduplication window, but a
view's target would count it twice unless it is told too, and a crash between the two would lose it.
Each table therefore takes its own insert, under its own token.
"""

from __future__ import annotations

import msgspec

DEDUPLICATION_WINDOW = 10_000
"""How many inserted blocks a table remembers; only the newest group is ever repeated."""

_DURABLE = (
    f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
    "fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1"
)


class Retention(msgspec.Struct, frozen=True):
    """For how many days rows are kept. Minutes outlive samples, places outlive machines."""

    samples_days: int = 90
    machine_minutes_days: int = 400
    place_minutes_days: int = 3650


DEFAULT_RETENTION = Retention()
TABLES = ("samples", "machine_minute", "rack_minute", "site_minute")

_SAMPLES = """
CREATE TABLE IF NOT EXISTS samples (
    organisation LowCardinality(String),
    site LowCardinality(String),
    rack LowCardinality(String),
    slot LowCardinality(String),
    machine LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(3)),
    state LowCardinality(String),
    power_kind LowCardinality(String),
    hashrate_hs Nullable(Float32) CODEC(ZSTD(3)),
    power_w Nullable(Float32) CODEC(ZSTD(3)),
    temp_board_max_c Nullable(Float32) CODEC(ZSTD(3)),
    temp_chip_max_c Nullable(Float32) CODEC(ZSTD(3)),
    fan_min_rpm Nullable(Int32) CODEC(T64, ZSTD(3)),
    fan_max_rpm Nullable(Int32) CODEC(T64, ZSTD(3)),
    uptime_s Nullable(Int64) CODEC(DoubleDelta, ZSTD(3)),
    accepted Nullable(Int64) CODEC(Delta, ZSTD(3)),
    rejected Nullable(Int64) CODEC(Delta, ZSTD(3)),
    stale Nullable(Int64) CODEC(Delta, ZSTD(3)),
    boards_hashing Nullable(Int16) CODEC(ZSTD(3)),
    chips_hashing Nullable(Int32) CODEC(ZSTD(3))
) ENGINE = MergeTree
PARTITION BY toYYYYMMDD(at)
ORDER BY (organisation, site, machine, at)
TTL toDateTime(at) + toIntervalDay({samples_days})
"""

_MACHINE_MINUTE = """
CREATE TABLE IF NOT EXISTS machine_minute (
    organisation LowCardinality(String),
    site LowCardinality(String),
    hour DateTime('UTC') CODEC(ZSTD(3)),
    machine LowCardinality(String),
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(3)),
    rack LowCardinality(String),
    last_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(DoubleDelta, ZSTD(3)),
    samples SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
    hashing SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
    answered SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
    hashrate_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(3)),
    hashrate_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
    power_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(3)),
    power_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
    temp_board_max_c SimpleAggregateFunction(max, Nullable(Float32)) CODEC(ZSTD(3)),
    temp_chip_max_c SimpleAggregateFunction(max, Nullable(Float32)) CODEC(ZSTD(3)),
    fan_min_rpm SimpleAggregateFunction(min, Nullable(Int32)) CODEC(T64, ZSTD(3)),
    fan_max_rpm SimpleAggregateFunction(max, Nullable(Int32)) CODEC(T64, ZSTD(3)),
    uptime_s SimpleAggregateFunction(max, Nullable(Int64)) CODEC(DoubleDelta, ZSTD(3)),
    accepted SimpleAggregateFunction(max, Nullable(Int64)) CODEC(Delta, ZSTD(3)),
    rejected SimpleAggregateFunction(max, Nullable(Int64)) CODEC(Delta, ZSTD(3)),
    stale SimpleAggregateFunction(max, Nullable(Int64)) CODEC(Delta, ZSTD(3)),
    boards_hashing SimpleAggregateFunction(min, Nullable(Int16)) CODEC(ZSTD(3)),
    chips_hashing SimpleAggregateFunction(min, Nullable(Int32)) CODEC(ZSTD(3))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (organisation, site, hour, machine, minute, rack)
TTL minute + toIntervalDay({machine_minutes_days})
"""

_PLACE_COLUMNS = """
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(3)),
    samples UInt64 CODEC(T64, ZSTD(3)),
    machines UInt32 CODEC(T64, ZSTD(3)),
    hashing UInt32 CODEC(T64, ZSTD(3)),
    answered UInt32 CODEC(T64, ZSTD(3)),
    hashrate_hs Float64 CODEC(ZSTD(3)),
    power_w Float64 CODEC(ZSTD(3)),
    powered UInt32 CODEC(T64, ZSTD(3)),
    powered_hashrate_hs Float64 CODEC(ZSTD(3)),
    temp_board_max_c Nullable(Float32) CODEC(ZSTD(3)),
    temp_chip_max_c Nullable(Float32) CODEC(ZSTD(3))
"""
"""`powered` machines said their watts; `powered_hashrate_hs` is theirs, for J/TH."""

_RACK_MINUTE = f"""
CREATE TABLE IF NOT EXISTS rack_minute (
    organisation LowCardinality(String),
    site LowCardinality(String),
    rack LowCardinality(String),
    {_PLACE_COLUMNS}
) ENGINE = ReplacingMergeTree(samples)
PARTITION BY toYYYYMM(minute)
ORDER BY (organisation, site, rack, minute)
TTL minute + toIntervalDay({{place_minutes_days}})
"""

_SITE_MINUTE = f"""
CREATE TABLE IF NOT EXISTS site_minute (
    organisation LowCardinality(String),
    site LowCardinality(String),
    {_PLACE_COLUMNS}
) ENGINE = ReplacingMergeTree(samples)
PARTITION BY toYYYYMM(minute)
ORDER BY (organisation, site, minute)
TTL minute + toIntervalDay({{place_minutes_days}})
"""

_TTL_COLUMNS = {
    "samples": ("toDateTime(at)", "samples_days"),
    "machine_minute": ("minute", "machine_minutes_days"),
    "rack_minute": ("minute", "place_minutes_days"),
    "site_minute": ("minute", "place_minutes_days"),
}


def create_statements(retention: Retention) -> list[str]:
    """Return what makes the tables where they are absent, and sets how long they keep rows."""
    days = msgspec.structs.asdict(retention)
    creates = [
        f"{text.format(**days).rstrip()}\nSETTINGS {_DURABLE}"
        for text in (_SAMPLES, _MACHINE_MINUTE, _RACK_MINUTE, _SITE_MINUTE)
    ]
    alters = [
        f"ALTER TABLE {table} MODIFY TTL {column} + toIntervalDay({days[name]})"
        for table, (column, name) in _TTL_COLUMNS.items()
    ]
    return creates + alters


_PER_MACHINE = """
    SELECT organisation, site, {rack}machine, minute,
        sum(samples) AS of_samples,
        sum(hashing) * 2 >= sum(samples) AS is_hashing,
        sum(answered) > 0 AS is_answering,
        if(sum(hashrate_count) = 0, NULL, sum(hashrate_sum) / sum(hashrate_count)) AS hashrate,
        if(sum(power_count) = 0, NULL, sum(power_sum) / sum(power_count)) AS power,
        max(temp_board_max_c) AS board, max(temp_chip_max_c) AS chip
    FROM machine_minute
    WHERE {where}
    GROUP BY organisation, site, {rack}machine, minute
"""

_PLACES = """
INSERT INTO {table} (organisation, site, {rack}minute, samples, machines, hashing, answered,
    hashrate_hs, power_w, powered, powered_hashrate_hs, temp_board_max_c, temp_chip_max_c)
SELECT organisation, site, {rack}minute,
    sum(of_samples), count(), countIf(is_hashing), countIf(is_answering),
    sum(ifNull(hashrate, 0)), sum(ifNull(power, 0)), count(power),
    sumIf(ifNull(hashrate, 0), isNotNull(power)), max(board), max(chip)
FROM ({per_machine})
GROUP BY organisation, site, {rack}minute
"""


def place_statements(where: str) -> list[str]:
    """Return the inserts that compute racks' and sites' minutes anew, where `where` holds."""
    statements = []
    for table, rack in (("rack_minute", "rack, "), ("site_minute", "")):
        per_machine = _PER_MACHINE.format(rack=rack, where=where)
        statements.append(_PLACES.format(table=table, rack=rack, per_machine=per_machine))
    return statements
