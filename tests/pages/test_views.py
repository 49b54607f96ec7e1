"""View models: sums that never mix known with unknown, places of cells, lists and words."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.center.latest import LatestState
from redoubt.center.live import Live, cell_events
from redoubt.center.views import words
from redoubt.center.views.fleet import HEARD, Fleet, join_fleet, make_roster, parse_slot
from redoubt.center.views.heatmap import (
    CELL_COLUMNS,
    Cells,
    changed_cells,
    is_laid_out,
    make_layout,
)
from redoubt.center.views.machines import MachineFilter, list_machines, pick_machines
from redoubt.center.views.overview import make_overview, sentence
from redoubt.center.views.totals import causes_by_machine, count_causes, rack_heats, sum_up
from redoubt.model.errors import InputError
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId
from redoubt.model.register import Register
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState, PowerKind
from tests.pages.mine import NOW, Mine, findings_of, north, plan_mine, samples_table, south

ORGANISATION = OrganisationId("acme")
NORTH = SiteId("north")


def hashing(machine: str, **changes: object) -> Sample:
    sample = Sample(
        at=NOW,
        machine=MachineId(machine),
        state=MachineState.HASHING,
        hashrate_hs=int(110e12),
        power_w=3300.0,
        power_kind=PowerKind.CLAIMED,
        temp_chip_max_c=70.0,
    )
    return msgspec.structs.replace(sample, **changes)


def fleet_of(mine: Mine, samples: list[Sample], later_s: float = 0) -> Fleet:
    """The fleet as seen some seconds after the samples were taken."""
    latest = LatestState()
    if samples:
        latest.apply_samples(ORGANISATION, NORTH, samples_table(samples), NOW)
    heard = latest.columns(ORGANISATION, NOW + timedelta(seconds=later_s), names=HEARD)
    register = mine.register(ORGANISATION)
    return join_fleet(heard, make_roster(register, heard))


@pytest.fixture
def mine() -> Mine:
    """Three machines in one rack, 110 TH/s each."""
    planned = plan_mine(north(), 3, trouble=0)
    return msgspec.structs.replace(
        planned,
        machines=tuple(
            msgspec.structs.replace(machine, hashrate_nominal_hs=110e12)
            for machine in planned.machines
        ),
    )


def test_registered_and_unregistered_machines_are_there_once_each(mine: Mine) -> None:
    fleet = fleet_of(mine, [hashing("m-0002"), hashing("stranger")])
    assert sorted(fleet.machine) == ["m-0001", "m-0002", "m-0003", "stranger"]
    place = fleet.place_of("stranger")
    assert place is not None
    assert not fleet.is_registered[place]
    unheard = fleet.place_of("m-0001")
    assert unheard is not None
    assert (fleet.state[unheard], fleet.at_ms[unheard]) == ("unknown", None)


def test_expected_hashrate_is_that_of_the_register_alone(mine: Mine) -> None:
    fleet = fleet_of(mine, [hashing("m-0001"), hashing("m-0002"), hashing("stranger")])
    totals = sum_up(fleet, fleet.everywhere())
    assert totals.expected_hs == pytest.approx(330e12)
    assert totals.hashrate_hs == pytest.approx(330e12)
    assert totals.earning == pytest.approx(2 / 3), "a stranger's hashrate is not ours"


def test_stale_figures_are_left_out_of_now(mine: Mine) -> None:
    fleet = fleet_of(mine, [hashing("m-0001")], later_s=61)
    totals = sum_up(fleet, fleet.everywhere())
    assert fleet.state[0] == "stale"
    assert (totals.hashrate_hs, totals.watts.power_w, totals.earning) == (None, None, None)
    assert totals.silent == 3
    assert totals.not_hashing == 0, "nobody knows that they do not hash"


def test_an_offline_mine_earns_nothing_and_that_is_known(mine: Mine) -> None:
    gone = [
        Sample(at=NOW, machine=machine.id, state=MachineState.OFFLINE) for machine in mine.machines
    ]
    totals = sum_up(fleet_of(mine, gone), range(3))
    assert (totals.earning, totals.not_hashing, totals.silent) == (0.0, 3, 0)


def test_watts_say_their_kind_and_who_is_silent(mine: Mine) -> None:
    fleet = fleet_of(
        mine,
        [
            hashing("m-0001"),
            hashing("m-0002", power_kind=PowerKind.ESTIMATED, power_w=1000.0),
            hashing("m-0003", power_w=None, power_kind=None),
        ],
    )
    totals = sum_up(fleet, fleet.everywhere())
    assert totals.watts.kinds == (("claimed", 3300.0), ("estimated", 1000.0))
    assert totals.watts.silent == 1
    assert totals.efficiency_j_per_th == pytest.approx(4300 / 220), "only where both are said"


def test_causes_come_from_findings_and_else_from_states(mine: Mine) -> None:
    troubled = msgspec.structs.replace(mine, troubles={"m-0001": "sleeping"})
    findings = [event.finding for event in findings_of(troubled, NOW)]
    fleet = fleet_of(
        mine,
        [
            hashing("m-0001", state=MachineState.SLEEPING, hashrate_hs=0),
            hashing("m-0002", state=MachineState.OFFLINE, hashrate_hs=None),
        ],
    )
    causes = count_causes(fleet, fleet.everywhere(), causes_by_machine(findings))
    assert {(cause.cause, cause.count) for cause in causes} == {
        ("sleeping", 1),
        ("no_reply", 1),
        ("unknown", 1),
    }


def test_a_machine_degraded_to_nothing_does_not_hash(mine: Mine) -> None:
    still = hashing("m-0001", state=MachineState.DEGRADED, hashrate_hs=0)
    fleet = fleet_of(mine, [still, hashing("m-0002"), hashing("m-0003")])
    assert sum_up(fleet, fleet.everywhere()).hashing == 2
    (cause,) = count_causes(fleet, fleet.everywhere(), {})
    assert words.cause_label(cause.cause) == "answers, hashes nothing"
    assert pick_machines(fleet, MachineFilter(state="not_hashing")) == [0]


def test_the_hottest_rack_is_the_one_that_is_hot_on_average() -> None:
    mine = plan_mine(north(), 40, trouble=0)
    fleet = fleet_of(
        mine,
        [
            hashing(machine, temp_chip_max_c=temp)
            for machine, temp in (("m-0001", 95.0), ("m-0002", 50.0), ("m-0021", 80.0))
        ],
    )
    heats = rack_heats(fleet, fleet.everywhere())
    assert [heat.name for heat in heats] == ["A02", "A01"]
    assert heats[1].hottest == "m-0001"


def test_the_first_sentence_never_claims_what_is_not_known(mine: Mine) -> None:
    silent = make_overview(fleet_of(mine, [hashing("m-0001")], later_s=600), (), {}, ())
    assert "Nothing has come from any site" in sentence(silent)
    assert silent.totals.earning is None
    partly = make_overview(fleet_of(mine, [hashing("m-0001")]), (), {}, ())
    assert "is known to hash 33.3 %" in sentence(partly)
    assert "Nothing is known now of 2 machines" in sentence(partly)
    whole = [hashing(machine.id) for machine in mine.machines]
    assert "Every machine hashes" in sentence(make_overview(fleet_of(mine, whole), (), {}, ()))


def test_a_dark_site_and_a_virtual_one_are_told(mine: Mine) -> None:
    heard = LatestState().columns(ORGANISATION, NOW, names=HEARD)
    register = mine.register(ORGANISATION, plan_mine(south(), 2, prefix="s"))
    view = make_overview(join_fleet(heard, make_roster(register, heard)), (), {}, ())
    assert {site.id for site in view.dark} == {"north", "south"}
    assert view.virtual == "all"


def test_every_machine_of_a_heat_map_has_a_cell_of_its_own() -> None:
    mine = plan_mine(north(), 45, trouble=0)
    twice = msgspec.structs.replace(mine.machines[0], slot=mine.machines[1].slot)
    mine = msgspec.structs.replace(mine, machines=(twice, *mine.machines[1:]))
    fleet = fleet_of(mine, [hashing("stranger"), hashing("lost", rack=RackId("gone"), slot="9-9")])
    layout = make_layout(fleet, "north")
    cells = set(zip(layout.rack, layout.level, layout.position, strict=True))
    assert len(cells) == len(layout.machine) == 47
    assert layout.racks[-1].name == "No place"


def test_changed_cells_name_places_of_the_same_layout(mine: Mine) -> None:
    latest = LatestState()
    samples = [hashing(machine.id) for machine in mine.machines]
    latest.apply_samples(ORGANISATION, NORTH, samples_table(samples), NOW)
    heard = latest.columns(ORGANISATION, NOW, names=HEARD)
    fleet = join_fleet(heard, make_roster(mine.register(ORGANISATION), heard))
    layout = make_layout(fleet, "north")
    later = NOW + timedelta(seconds=15)
    hot = hashing("m-0003", at=later, temp_chip_max_c=91.26, hashrate_hs=int(55e12))
    latest.apply_samples(ORGANISATION, NORTH, samples_table([hot]), later)
    changes = latest.changes_since(heard.version, ORGANISATION, later, NORTH, CELL_COLUMNS)
    cells = changed_cells(layout, changes)
    assert cells is not None
    assert [layout.machine[at] for at in cells.i] == ["m-0003"]
    assert (cells.temp, cells.rate, cells.power) == ([913], [500], [3300])
    latest.apply_samples(ORGANISATION, NORTH, samples_table([hashing("new")]), later)
    changes = latest.changes_since(heard.version, ORGANISATION, later, NORTH, CELL_COLUMNS)
    assert not is_laid_out(layout, changes)
    assert changed_cells(layout, changes) is None


def test_lists_filter_sort_and_cut(mine: Mine) -> None:
    fleet = fleet_of(
        mine,
        [
            hashing("m-0001", temp_chip_max_c=60.0),
            hashing("m-0002", temp_chip_max_c=80.0, state=MachineState.OFFLINE),
        ],
    )

    def names(**wanted: object) -> list[str]:
        chosen = msgspec.structs.replace(MachineFilter(), **wanted)
        return [fleet.machine[at] for at in pick_machines(fleet, chosen)]

    assert names(sort="temp", descending=True) == ["m-0002", "m-0001", "m-0003"]
    assert names(sort="temp") == ["m-0001", "m-0002", "m-0003"], "the unknown comes last"
    assert names(state="not_hashing") == ["m-0002", "m-0003"]
    assert names(cause="no_reply") == ["m-0002"]
    assert names(text="M-0003") == ["m-0003"]
    assert names(site="elsewhere") == []
    page = list_machines(fleet, [0, 1, 2], 1, 1)
    assert (page.total, [row[0] for row in page.rows]) == (3, ["m-0002"])
    with pytest.raises(InputError, match="expected sort"):
        names(sort="colour")
    with pytest.raises(InputError, match="expected state"):
        names(state="asleep")


def test_no_site_speaks_for_a_machine_that_is_registered_at_another(mine: Mine) -> None:
    latest, register = LatestState(), mine.register(ORGANISATION)
    ours = hashing("m-0001", at=NOW - timedelta(seconds=20))
    forged = hashing("m-0001", hashrate_hs=1)
    latest.apply_samples(ORGANISATION, NORTH, samples_table([ours]), NOW)
    latest.apply_samples(ORGANISATION, SiteId("south"), samples_table([forged]), NOW)
    heard = latest.columns(ORGANISATION, NOW, names=HEARD)
    fleet = join_fleet(heard, make_roster(register, heard))
    place = fleet.place_of("m-0001")
    assert place is not None
    assert (fleet.site[place], fleet.hashrate_hs[place]) == ("north", 110e12)


def test_a_stranger_is_forgotten_a_day_after_it_was_last_heard_of(mine: Mine) -> None:
    hour = 3600
    assert "stranger" in fleet_of(mine, [hashing("stranger")], 23 * hour).machine
    gone = fleet_of(mine, [hashing("stranger"), hashing("m-0001")], 25 * hour)
    assert gone.machine == ["m-0001", "m-0002", "m-0003"]


def test_a_roster_is_kept_while_nobody_comes_or_moves(mine: Mine) -> None:
    latest, register = LatestState(), mine.register(ORGANISATION)
    latest.apply_samples(ORGANISATION, NORTH, samples_table([hashing("m-0001")]), NOW)
    roster = make_roster(register, latest.columns(ORGANISATION, NOW, names=HEARD))
    hot = hashing("m-0001", at=NOW + timedelta(seconds=15))
    latest.apply_samples(ORGANISATION, NORTH, samples_table([hot]), NOW)
    assert roster.fits(register, latest.columns(ORGANISATION, NOW, names=HEARD))
    latest.apply_samples(ORGANISATION, NORTH, samples_table([hashing("stranger")]), NOW)
    heard = latest.columns(ORGANISATION, NOW, names=HEARD)
    assert not roster.fits(register, heard)
    other = Register(organisation=ORGANISATION, version=2)
    assert not make_roster(register, heard).fits(other, heard)


@given(st.text(max_size=20))
def test_a_slot_is_two_numbers_or_none(text: str) -> None:
    found = parse_slot(text)
    assert found is None or found == tuple(int(part) for part in text.split("-"))


def test_words_keep_number_and_unit_apart() -> None:
    assert words.hashrate(96.24e15) == words.Figure("96.24", "PH/s")
    assert str(words.watts(None)) == "–"
    assert str(words.percent(0.9996)) == "100.0 %"
    assert str(words.percent(0.0)) == "0 %"
    assert words.count(12345) == "12\u202f345"
    assert words.value("temp_chip_max_c", 88.24) == "88.2 °C"
    assert words.value("uptime_s", 61) == "1 min 1 s"
    assert words.value("name", "<b>") == "<b>"
    assert words.key_label("temp_chip_max_c") == "temp chip max"
    assert words.age(None, NOW) == "never"


@given(st.one_of(st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.floats(), st.text()))
def test_any_value_of_evidence_can_be_said(value: object) -> None:
    for key in ("x", "x_hs", "x_w", "x_c", "x_s", "x_share", "x_rpm", "x_j_per_th"):
        assert isinstance(words.value(key, value), str)  # type: ignore[arg-type]


def test_a_large_change_is_cut_into_pushes_of_a_thousand() -> None:
    mine = plan_mine(north(), 2500, trouble=0)
    latest = LatestState()
    samples = [hashing(machine.id) for machine in mine.machines]
    latest.apply_samples(ORGANISATION, NORTH, samples_table(samples), NOW)
    cells = Live(latest).changes(ORGANISATION, mine.register(ORGANISATION), "north", NOW, -1)
    assert cells is not None
    pushes = list(cell_events(cells))
    parts = [msgspec.json.decode(push.split(b"\ndata: ")[1], type=Cells) for push in pushes]
    assert [len(part.i) for part in parts] == [1000, 1000, 500]
    assert sorted(at for part in parts for at in part.i) == list(range(2500))
