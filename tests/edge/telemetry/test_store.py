"""Rows are counted once, roll-ups say what the rows say, and series show gaps as gaps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redoubt.edge.batches import decode_samples, encode_samples
from redoubt.edge.telemetry import SiteRows, Telemetry
from redoubt.edge.telemetry.store import StoreError, StoreTimeout
from redoubt.model.errors import InputError
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState, PowerKind

ACME, ZINC = OrganisationId("acme"), OrganisationId("zinc")
BUNKER, BARN = SiteId("bunker"), SiteId("barn")
# Yesterday, since rows older than the retention go at once.
BEGIN = (datetime.now(UTC) - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
async def telemetry(tmp_path: Path) -> AsyncIterator[Telemetry]:
    opened = await Telemetry.open(tmp_path)
    yield opened
    await opened.close()


def sample(
    second: int, machine: str = "m1", rate_ths: float | None = 100, rack: str = "r1", **more: Any
) -> Sample:
    fields: dict[str, Any] = {
        "at": BEGIN + timedelta(seconds=second),
        "machine": MachineId(machine),
        "rack": RackId(rack),
        "slot": "1-1",
        "state": MachineState.OFFLINE if rate_ths is None else MachineState.HASHING,
        "hashrate_hs": None if rate_ths is None else round(rate_ths * 2**40),
        "power_w": None if rate_ths is None else 3000.0,
        "power_kind": PowerKind.CLAIMED,
    }
    return Sample(**{**fields, **more})


def rows(
    *samples: Sample, organisation: OrganisationId = ACME, site: SiteId = BUNKER
) -> list[SiteRows]:
    return [SiteRows(organisation, site, decode_samples(encode_samples(samples)))]


async def one(telemetry: Telemetry, sql: str) -> Any:
    return (await telemetry.query(sql)).to_pylist()[0]


async def test_a_repeated_insert_changes_neither_rows_nor_any_roll_up(telemetry: Telemetry) -> None:
    group = rows(*[sample(second, f"m{n}") for second in range(0, 120, 15) for n in range(3)])
    for _ in range(3):
        await telemetry.insert("t1", group)
    found = await one(
        telemetry,
        "SELECT (SELECT count() FROM samples) AS raw,"
        " (SELECT sum(samples) FROM machine_minute) AS minutes,"
        " (SELECT sum(samples) FROM rack_minute FINAL) AS racks,"
        " (SELECT sum(samples) FROM site_minute FINAL) AS sites",
    )
    assert found == {"raw": 24, "minutes": 24, "racks": 24, "sites": 24}


async def test_an_insert_that_broke_off_anywhere_is_whole_after_it_is_repeated(
    telemetry: Telemetry,
) -> None:
    group = rows(*[sample(second) for second in range(0, 60, 15)])

    class Broken(Exception):
        pass

    def break_at(step: str) -> Any:
        def on_step(now: str) -> None:
            if now == step:
                raise Broken

        return on_step

    for step in ("samples", "machine_minute", "places"):
        with pytest.raises(Broken):
            await telemetry.insert("t1", group, break_at(step))
    await telemetry.insert("t1", group)
    found = await one(
        telemetry,
        "SELECT (SELECT count() FROM samples) AS raw,"
        " (SELECT sum(samples) FROM machine_minute) AS minutes,"
        " (SELECT sum(samples) FROM site_minute FINAL) AS sites",
    )
    assert found == {"raw": 4, "minutes": 4, "sites": 4}


async def test_rows_that_come_late_join_their_minute(telemetry: Telemetry) -> None:
    """A rack's hashrate is the sum of its machines' averages, however the rows arrived."""
    await telemetry.insert("t1", rows(sample(0, "m1", 100), sample(15, "m1", 200)))
    await telemetry.insert("t2", rows(sample(600, "m1", 100)))
    await telemetry.insert("t3", rows(sample(30, "m1", 300), sample(30, "m2", 50)))
    found = await one(
        telemetry,
        "SELECT hashrate_hs / exp2(40) AS ths, machines, samples FROM rack_minute FINAL"
        " ORDER BY minute LIMIT 1",
    )
    assert found == {"ths": 250.0, "machines": 2, "samples": 4}


async def test_a_machine_that_does_not_answer_counts_as_a_machine_without_hashrate(
    telemetry: Telemetry,
) -> None:
    await telemetry.insert("t1", rows(sample(0, "m1", 100), sample(1, "m2", None)))
    series = await telemetry.site_series(ACME, BUNKER, BEGIN, BEGIN + timedelta(minutes=1), 1)
    assert series.columns["machines"] == [2]
    assert series.columns["answered"] == [1]
    assert series.columns["hashing"] == [1]
    assert series.columns["hashrate_hs"] == [100 * 2**40]
    assert series.columns["efficiency_j_per_th"] == [pytest.approx(3000 / (100 * 2**40 / 1e12))]


async def test_a_machines_series_shows_a_gap_as_a_gap(telemetry: Telemetry) -> None:
    await telemetry.insert("t1", rows(sample(0), sample(15), sample(3600, rate_ths=50)))
    end = BEGIN + timedelta(hours=24)
    day = await telemetry.machine_series(ACME, BUNKER, MachineId("m1"), BEGIN, end, 300)
    assert len(day.at) == 300
    assert day.step_s == 288
    assert day.columns["hashrate_hs"][0] == 100 * 2**40
    assert day.columns["hashrate_hs"][1:12] == [None] * 11
    assert day.columns["hashrate_hs"][12] == 50 * 2**40
    assert day.columns["hashing_share"][0] == 1.0
    # The same from minutes, which are asked over a longer time.
    month = await telemetry.machine_series(
        ACME, BUNKER, MachineId("m1"), BEGIN, BEGIN + timedelta(days=3), 900
    )
    assert month.columns["hashrate_hs"][0] == 100 * 2**40
    assert month.columns["hashrate_hs"][12] == 50 * 2**40


async def test_an_organisation_sees_nothing_of_another(telemetry: Telemetry) -> None:
    await telemetry.insert(
        "t1", rows(sample(0)) + rows(sample(0, rate_ths=7), organisation=ZINC, site=BARN)
    )
    end = BEGIN + timedelta(minutes=5)
    zinc = await telemetry.fleet_series(ZINC, BEGIN, end, 5)
    assert zinc.columns["hashrate_hs"][0] == 7 * 2**40
    assert (await telemetry.site_series(ZINC, BUNKER, BEGIN, end, 5)).is_empty
    machine = await telemetry.machine_series(
        ZINC, BARN, MachineId("m1"), BEGIN, end, 5, ["hashrate_hs"]
    )
    assert machine.columns["hashrate_hs"][0] == 7 * 2**40


async def test_a_fleet_is_the_sum_of_its_sites_and_a_rack_stands_for_itself(
    telemetry: Telemetry,
) -> None:
    await telemetry.insert(
        "t1",
        rows(sample(0, "m1", 10), sample(0, "m2", 20, "r2")) + rows(sample(0, "m3", 5), site=BARN),
    )
    end = BEGIN + timedelta(minutes=1)
    fleet = await telemetry.fleet_series(ACME, BEGIN, end, 1)
    rack = await telemetry.rack_series(ACME, BUNKER, RackId("r2"), BEGIN, end, 1)
    assert fleet.columns["hashrate_hs"] == [35 * 2**40]
    assert rack.columns["hashrate_hs"] == [20 * 2**40]


async def test_claims_that_cannot_be_neither_break_an_insert_nor_spoil_a_sum(
    telemetry: Telemetry,
) -> None:
    await telemetry.insert(
        "t1",
        rows(
            sample(0, power_w=float("nan"), temp_chip_max_c=float("inf")),
            sample(15, hashrate_hs=-(2**63), fan_max_rpm=2**62, chips_hashing=-(2**62)),
            sample(30, machine="'; DROP TABLE samples; --", rack="r\\'1"),
        ),
    )
    found = await one(
        telemetry,
        "SELECT count() AS n, sum(power_w) AS w, max(fan_max_rpm) AS rpm, min(hashrate_hs) AS hs"
        " FROM samples",
    )
    assert found == {"n": 3, "w": 6000.0, "rpm": 2**31 - 1, "hs": -float(2**63)}


async def test_the_newest_row_of_every_machine_is_found_at_a_restart(tmp_path: Path) -> None:
    telemetry = await Telemetry.open(tmp_path)
    await telemetry.insert("t1", rows(*[sample(s, "m1", s + 1) for s in range(0, 4000, 15)]))
    await telemetry.insert("t2", rows(sample(60, "dark", 9)) + rows(sample(5), site=BARN))
    await telemetry.close()
    telemetry = await Telemetry.open(tmp_path)
    newest: dict[tuple[str, str], datetime] = {}
    for part in await telemetry.latest_rows(BEGIN - timedelta(days=1), BEGIN + timedelta(days=1)):
        assert part.table.schema.names[0] == "at"
        for row in part.table.to_pylist():
            key = (part.site, row["machine"])
            newest[key] = max(newest.get(key, row["at"]), row["at"])
    await telemetry.close()
    assert newest == {
        ("bunker", "m1"): BEGIN + timedelta(seconds=3990),
        ("bunker", "dark"): BEGIN + timedelta(seconds=60),
        ("barn", "m1"): BEGIN + timedelta(seconds=5),
    }


async def test_errors_of_the_store_are_ours_and_leave_nothing_behind(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    with pytest.raises(StoreError):
        await telemetry.query("SELECT nothing FROM nowhere")
    m1, end = MachineId("m1"), BEGIN + timedelta(hours=1)
    with pytest.raises(InputError, match="no measure 'wealth'"):
        await telemetry.machine_series(ACME, BUNKER, m1, BEGIN, end, 10, ["wealth"])
    with pytest.raises(InputError, match="points"):
        await telemetry.machine_series(ACME, BUNKER, m1, BEGIN, end, 10**9)
    with pytest.raises(InputError, match="before"):
        await telemetry.machine_series(ACME, BUNKER, m1, end, BEGIN)
    assert not list((tmp_path / "incoming").iterdir())


async def test_a_query_that_takes_too_long_ends(tmp_path: Path) -> None:
    telemetry = await Telemetry.open(tmp_path, query_timeout_s=0.3)
    try:
        with pytest.raises(StoreTimeout):
            await telemetry.query("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1")
    finally:
        await telemetry.close()


async def test_a_group_without_rows_is_no_insert(telemetry: Telemetry) -> None:
    empty = pa.Table.from_batches([], rows(sample(0))[0].table.schema)
    assert await telemetry.insert("t1", [SiteRows(ACME, BUNKER, empty)]) == 0
