"""A day of samples looks like one: the right columns, the same for a seed, counters that grow."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from redoubt.edge.batches import SAMPLE_SCHEMA
from redoubt.world.load.day import DAY_SWEEPS, day

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows() -> list[list[dict[str, Any]]]:
    return [batch.to_pylist() for batch in day(machines=200, seed=4, start=START, sweeps=40)]


def test_every_sweep_is_a_valid_batch_of_the_wire_schema() -> None:
    for batch in day(machines=50, sweeps=3):
        assert batch.schema == SAMPLE_SCHEMA
        batch.validate(full=True)
        assert batch.num_rows == 50


def test_the_same_arguments_give_the_same_rows() -> None:
    def table(seed: int) -> pa.Table:
        return pa.Table.from_batches(day(machines=50, seed=seed, sweeps=5))

    assert table(1).equals(table(1))
    assert not table(1).equals(table(2))


def test_a_day_has_as_many_sweeps_as_its_cadence_makes() -> None:
    assert DAY_SWEEPS * 15 == 86_400
    *_, last = day(machines=1, start=START, cadence_s=900, sweeps=96)
    at = last.column("at")[0].as_py()
    assert START + timedelta(hours=23, minutes=45) <= at < START + timedelta(days=1)


def test_times_are_within_their_sweep(rows: list[list[dict[str, Any]]]) -> None:
    for number, sweep in enumerate(rows):
        first = START + timedelta(seconds=15 * number)
        assert all(first <= row["at"] < first + timedelta(seconds=15) for row in sweep)


def test_counters_only_grow_unless_the_machine_started_anew(
    rows: list[list[dict[str, Any]]],
) -> None:
    for before, after in itertools.pairwise(rows):
        for one, two in zip(before, after, strict=True):
            assert one["machine"] == two["machine"]
            if "offline" in (one["state"], two["state"]) or two["uptime_s"] == 0:
                continue
            for counter in ("uptime_s", "accepted", "rejected", "stale"):
                assert two[counter] >= one[counter]


def test_values_come_in_the_steps_of_their_family(rows: list[list[dict[str, Any]]]) -> None:
    hashing = [row for sweep in rows for row in sweep if row["state"] == "hashing"]
    estimated = [row for row in hashing if row["power_kind"] == "estimated"]
    assert estimated
    assert all(row["fan_min_rpm"] % 60 == 0 for row in hashing)
    assert all(row["hashrate_hs"] % 10_000_000 == 0 for row in estimated)
    assert all(row["temp_chip_max_c"] == round(row["temp_chip_max_c"]) for row in estimated)
    assert all(40 < row["temp_chip_max_c"] < 90 for row in hashing)
    assert all(row["fan_min_rpm"] <= row["fan_max_rpm"] for row in hashing)
    assert all(row["power_w"] > 5 for row in hashing)


def test_who_does_not_answer_measures_nothing(rows: list[list[dict[str, Any]]]) -> None:
    offline = [row for sweep in rows for row in sweep if row["state"] == "offline"]
    assert 0 < len(offline) < 200
    for row in offline:
        assert row["machine"]
        assert row["hashrate_hs"] is None
        assert row["uptime_s"] is None
