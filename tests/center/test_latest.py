"""The latest state holds each machine's newest row, shows no stale one as live, tells changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.center.latest import LatestState
from redoubt.edge.batches import MachineDetail, decode_samples, encode_samples
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState, MachineStatus

ACME, ZINC = OrganisationId("acme"), OrganisationId("zinc")
BUNKER, BARN = SiteId("bunker"), SiteId("barn")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(age_s: float, machine: str = "m1", **more: Any) -> Sample:
    fields: dict[str, Any] = {
        "at": NOW - timedelta(seconds=age_s),
        "machine": MachineId(machine),
        "rack": RackId("r1"),
        "slot": "1-1",
        "state": MachineState.HASHING,
        "hashrate_hs": 100 * 10**12,
        "power_w": 3000.0,
        "temp_chip_max_c": 70.0,
    }
    return Sample(**{**fields, **more})


def table(*rows: Sample) -> pa.Table:
    return decode_samples(encode_samples(rows))


def detail(machine: str = "m1", age_s: float = 0, **more: Any) -> MachineDetail:
    status = MachineStatus(address="10.0.0.1", at=NOW - timedelta(seconds=age_s), **more)
    return MachineDetail(machine=MachineId(machine), rack=RackId("r9"), slot="2-2", status=status)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=1, max_size=60))
def test_in_whatever_order_rows_come_the_newest_of_each_machine_stays(
    rows: list[tuple[int, int]],
) -> None:
    latest = LatestState()
    half = len(rows) // 2
    for part in (rows[:half], rows[half:]):
        if part:
            samples = [row(age, f"m{number}", accepted=age) for number, age in part]
            latest.apply_samples(ACME, BUNKER, table(*samples), NOW)
    columns = latest.columns(ACME, NOW).columns
    shown = dict(zip(columns["machine"], columns["accepted"], strict=True))
    newest = {f"m{number}": min(a for n, a in rows if n == number) for number, _age in rows}
    assert shown == newest


def test_a_row_that_is_not_heard_of_for_a_minute_is_stale_whatever_it_said() -> None:
    latest = LatestState()
    latest.apply_samples(ACME, BUNKER, table(row(59), row(61, "m2"), row(61, "m3")), NOW)
    columns = latest.columns(ACME, NOW).columns
    assert columns["state"] == ["hashing", "stale", "stale"]
    assert columns["age_s"] == [59.0, 61.0, 61.0]
    totals = latest.totals(ACME, NOW)[BUNKER]
    assert totals.hashrate_hs == 100e12
    assert totals.states["stale"] == 2


def test_unknown_is_none_and_nothing_is_invented() -> None:
    latest = LatestState()
    offline = row(1, state=MachineState.OFFLINE, hashrate_hs=None, power_w=None)
    latest.apply_samples(ACME, BUNKER, table(offline), NOW)
    latest.apply_details(ACME, BUNKER, [detail("m2", hashrate_nominal_hs=5.0)])
    columns = latest.columns(ACME, NOW).columns
    assert columns["hashrate_hs"] == [None, None]
    assert columns["efficiency_j_per_th"] == [None, None]
    assert columns["at_ms"][1] is None
    assert columns["age_s"][1] is None
    assert columns["state"] == ["offline", "stale"]
    assert columns["hashrate_nominal_hs"] == [None, 5.0]
    assert columns["address"] == [None, "10.0.0.1"]


def test_a_clock_that_ran_ahead_does_not_freeze_a_machine_once_it_is_right() -> None:
    latest = LatestState()
    latest.apply_samples(ACME, BUNKER, table(row(-3600, accepted=1)), NOW)
    later = NOW + timedelta(seconds=15)
    latest.apply_samples(ACME, BUNKER, table(row(-15, accepted=2)), later)
    assert latest.columns(ACME, later).columns["accepted"] == [2]


def test_changes_are_those_after_a_version_and_old_rows_are_none() -> None:
    latest = LatestState()
    latest.apply_samples(ACME, BUNKER, table(row(30), row(30, "m2")), NOW)
    seen = latest.version
    latest.apply_samples(ACME, BUNKER, table(row(45), row(15, "m2")), NOW)
    changes = latest.changes_since(seen, ACME, NOW)
    assert changes.columns["machine"] == ["m2"]
    seen = changes.version
    assert latest.apply_samples(ACME, BUNKER, table(row(99), row(99, "m2")), NOW) == 0
    assert latest.version == seen
    assert latest.changes_since(seen, ACME, NOW).rows == 0


async def test_who_waits_for_a_change_is_woken_by_it_and_no_later_than_asked() -> None:
    latest = LatestState()
    assert await latest.wait(latest.version, 0.01) == 0
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(latest.wait(0, 60))
        await asyncio.sleep(0)
        latest.apply_samples(ACME, BUNKER, table(row(1)), NOW)
    assert waiting.result() == 1


def test_organisations_and_sites_are_apart() -> None:
    latest = LatestState()
    latest.apply_samples(ACME, BUNKER, table(row(1)), NOW)
    latest.apply_samples(ACME, BARN, table(row(1), row(1, "m2")), NOW)
    latest.apply_samples(ZINC, BUNKER, table(row(1, "z1")), NOW)
    latest.apply_details(ZINC, BUNKER, [detail("z1")])
    assert latest.sites(ACME) == [BARN, BUNKER]
    assert latest.columns(ACME, NOW).rows == 3
    assert latest.columns(ACME, NOW, BUNKER).columns["machine"] == ["m1"]
    assert latest.columns(ZINC, NOW, names=["machine", "site"]).columns == {
        "machine": ["z1"],
        "site": ["bunker"],
    }
    assert latest.detail(ACME, BUNKER, MachineId("z1")) is None
    assert set(latest.totals(ZINC, NOW)) == {BUNKER}


def test_no_site_speaks_over_another_about_a_machine() -> None:
    latest = LatestState()
    latest.apply_details(ACME, BUNKER, [detail(age_s=500, model="ours")])
    latest.apply_details(ACME, BARN, [detail(age_s=5, model="theirs")])
    found = latest.detail(ACME, BUNKER, MachineId("m1"))
    assert found is not None
    assert found.status.model == "ours"


def test_a_machine_is_where_it_was_last_heard_of() -> None:
    latest = LatestState()
    latest.apply_samples(ACME, BUNKER, table(row(500, "m1")), NOW)
    latest.apply_samples(ACME, BARN, table(row(5, "m1")), NOW)
    assert latest.site_of(ACME, MachineId("m1")) == BARN
    assert latest.site_of(ACME, MachineId("m2")) is None
    assert latest.site_of(ZINC, MachineId("m1")) is None


def test_a_site_cannot_fill_the_memory_with_machines() -> None:
    latest = LatestState(machines_per_site=3)
    rows = [row(1, f"m{number}") for number in range(5)]
    latest.apply_samples(ACME, BUNKER, table(*rows), NOW)
    latest.apply_details(ACME, BUNKER, [detail("m9", age_s=1)])
    assert latest.columns(ACME, NOW).rows == 3
    assert latest.detail(ACME, BUNKER, MachineId("m9")) is None


def test_in_a_full_site_a_machine_that_speaks_takes_the_place_of_the_longest_silent() -> None:
    latest = LatestState(machines_per_site=3)
    latest.apply_samples(ACME, BUNKER, table(row(30, "g1"), row(20, "m1")), NOW)
    latest.apply_details(ACME, BUNKER, [detail("g2", age_s=25, model="ghost"), detail("g1", 30)])
    before = latest.version
    latest.apply_samples(
        ACME,
        BUNKER,
        table(row(5, "m2", accepted=2), row(6, "m2"), row(5, "m1"), row(99, "g3")),
        NOW,
    )
    columns = latest.changes_since(before, ACME, NOW).columns
    assert sorted(zip(columns["machine"], columns["accepted"], strict=True)) == [
        ("m1", None),
        ("m2", 2.0),
    ]
    latest.apply_details(ACME, BUNKER, [detail("m3", model="real")])
    columns = latest.columns(ACME, NOW).columns
    assert dict(zip(columns["machine"], columns["model"], strict=True)) == {
        "m1": None,
        "m2": None,
        "m3": "real",
    }
    assert latest.detail(ACME, BUNKER, MachineId("g1")) is None
    assert latest.detail(ACME, BUNKER, MachineId("g2")) is None


def test_of_more_machines_than_fit_in_one_batch_each_row_is_its_own_machines() -> None:
    latest = LatestState(machines_per_site=3)
    rows = [row(9 - number, f"m{number}", accepted=number) for number in range(8)]
    for part in (rows[:4], rows[2:], rows):
        latest.apply_samples(ACME, BUNKER, table(*part), NOW)
    columns = latest.columns(ACME, NOW).columns
    shown = dict(zip(columns["machine"], columns["accepted"], strict=True))
    assert shown == {"m2": 2.0, "m3": 3.0, "m7": 7.0}


def test_a_sites_totals_are_its_fresh_machines() -> None:
    latest = LatestState()
    latest.apply_samples(
        ACME,
        BUNKER,
        table(
            row(1, "m1", power_w=None),
            row(1, "m2", rack="r2", temp_chip_max_c=80.0),
            row(999, "m3", rack="r3", temp_chip_max_c=99.0),
        ),
        NOW,
    )
    totals = latest.totals(ACME, NOW)[BUNKER]
    assert totals.machines == 3
    assert totals.hashrate_hs == 200e12
    assert totals.power_w == 3000.0
    # Of the machines that say their watts.
    assert totals.efficiency_j_per_th == pytest.approx(30.0)
    assert (totals.hottest_rack, totals.hottest_c) == ("r2", 80.0)
    assert totals.newest_at_ms == int((NOW.timestamp() - 1) * 1000)
