"""The physics has the right signs, sizes and delays, and is the same for the same seed."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redoubt.world.models import Model, virtual_models
from redoubt.world.physics import (
    NO_FAULTS,
    THERMALS,
    Facts,
    Faults,
    MachineState,
    Mode,
    ambient_at,
    boot,
    cold_state,
    make_facts,
    settled_state,
    share_difficulty,
    step_machine,
    step_rack,
)

MODELS = {model.name: model for model in virtual_models()}
S19 = MODELS["antminer-s19j-pro"]


def specimen(model: Model = S19, seed: int = 1) -> tuple[Facts, MachineState, Random]:
    rng = Random(seed)
    facts = make_facts(model, rng)
    return facts, settled_state(facts, 22.0, 86_400, rng), rng


def after(
    seconds: float,
    faults: Faults = NO_FAULTS,
    *,
    inlet_c: float = 22.0,
    model: Model = S19,
    seed: int = 1,
) -> MachineState:
    facts, state, rng = specimen(model, seed)
    for _ in range(round(seconds / 2)):
        state = step_machine(state, facts, faults, inlet_c, 2.0, rng)
    return state


@pytest.mark.parametrize("model", virtual_models(), ids=lambda model: model.name)
def test_a_healthy_machine_hashes_and_draws_about_what_its_maker_says(model: Model) -> None:
    state = after(600, model=model)
    assert state.mode is Mode.HASHING
    assert state.hashrate_hs == pytest.approx(model.hashrate_hs, rel=0.06)
    assert state.power_w == pytest.approx(model.power_w, rel=0.08)
    assert 50 < state.temp_chip_max_c < 82


def test_the_same_seed_gives_the_same_history() -> None:
    assert after(300, seed=5) == after(300, seed=5)
    assert after(300, seed=5) != after(300, seed=6)


def test_a_dead_fan_makes_chips_hotter_and_the_others_faster() -> None:
    well, ill = after(600), after(600, Faults(dead_fans=frozenset({2})))
    assert ill.rpm[2] == 0
    assert ill.temp_chip_max_c > well.temp_chip_max_c + 3
    assert min(rpm for fan, rpm in enumerate(ill.rpm) if fan != 2) > max(well.rpm)


def test_two_dead_fans_throttle_it_or_make_it_protect_itself() -> None:
    faults = Faults(dead_fans=frozenset({0, 1}))
    states = [after(seconds, faults) for seconds in range(60, 900, 60)]
    assert min(state.hashrate_hs for state in states) < 0.8 * S19.hashrate_hs
    assert max(state.temp_chip_max_c for state in states) < THERMALS["antminer"].protect_c + 15


def test_a_machine_too_hot_to_go_on_stops_cools_and_starts_again() -> None:
    facts, state, rng = specimen(MODELS["bitaxe-gamma"])
    faults = Faults(dead_fans=frozenset({0}))
    modes: list[Mode] = []
    for _ in range(900):
        state = step_machine(state, facts, faults, 22.0, 2.0, rng)
        if not modes or modes[-1] is not state.mode:
            modes.append(state.mode)
    assert modes[:4] == [Mode.HASHING, Mode.PROTECTED, Mode.BOOTING, Mode.HASHING]


def test_a_lost_board_costs_a_third_and_shows_no_chips() -> None:
    well, ill = after(300), after(300, Faults(lost_boards=frozenset({1})))
    assert ill.boards[1].chips == 0
    assert ill.boards[1].hashrate_hs == 0
    assert ill.hashrate_hs == pytest.approx(well.hashrate_hs * 2 / 3, rel=0.02)
    assert ill.power_w < 0.75 * well.power_w


def test_silent_chips_cost_their_share() -> None:
    well, ill = after(300), after(300, Faults(lost_chips=((0, 63),)))
    assert ill.boards[0].chips == 63
    assert ill.boards[0].hashrate_hs == pytest.approx(well.boards[0].hashrate_hs / 2, rel=0.02)


def test_under_hashing_is_slower_and_draws_less() -> None:
    ill = after(300, Faults(tune=0.7))
    assert ill.hashrate_hs == pytest.approx(0.7 * S19.hashrate_hs, rel=0.05)
    assert ill.power_w < 0.8 * S19.power_w


@given(st.floats(0, 25), st.floats(1, 20))
@settings(max_examples=25, deadline=None)
def test_hotter_air_never_cools_chips(inlet_c: float, more_c: float) -> None:
    cooler, hotter = after(400, inlet_c=inlet_c), after(400, inlet_c=inlet_c + more_c)
    assert hotter.temp_chip_max_c >= cooler.temp_chip_max_c - 0.5


def test_without_power_it_is_silent_and_cools_to_the_air() -> None:
    state = after(900, Faults(powered=False))
    assert state.mode is Mode.OFF
    assert (state.power_w, state.hashrate_hs, set(state.rpm)) == (0, 0, {0})
    assert state.temp_chip_max_c == pytest.approx(22.0, abs=0.5)


def test_power_that_comes_back_starts_a_boot_and_counters_at_nought() -> None:
    facts, state, rng = specimen()
    state = step_machine(state, facts, Faults(powered=False), 22.0, 2.0, rng)
    seconds = 0
    while state.mode is not Mode.HASHING:
        state = step_machine(state, facts, NO_FAULTS, 22.0, 2.0, rng)
        seconds += 2
        assert seconds < 300
    assert seconds > 30
    assert state.uptime_s < 300


def test_a_reboot_resets_what_counts_since_start() -> None:
    facts, state, _rng = specimen()
    assert state.accepted > 1000
    fresh = boot(state, facts)
    assert (fresh.uptime_s, fresh.accepted, fresh.rejected, fresh.boots) == (0, 0, 0, 1)


@pytest.mark.parametrize("model", virtual_models(), ids=lambda model: model.name)
def test_shares_come_as_often_as_hashrate_and_difficulty_say(model: Model) -> None:
    facts, state, rng = specimen(model)
    before = state.accepted + state.rejected
    for _ in range(1800):
        state = step_machine(state, facts, NO_FAULTS, 22.0, 2.0, rng)
    expected = 3600 * state.hashrate_hs / (facts.share_difficulty * 2**32)
    found = state.accepted + state.rejected - before
    assert abs(found - expected) < 5 * math.sqrt(expected)


@given(st.floats(1e9, 1e16))
def test_difficulty_is_a_power_of_two_of_a_few_seconds(hashrate_hs: float) -> None:
    difficulty = share_difficulty(hashrate_hs)
    assert difficulty & (difficulty - 1) == 0
    if difficulty > 1:
        assert 3 < difficulty * 2**32 / hashrate_hs < 12


FAULTS = st.builds(
    Faults,
    dead_fans=st.frozensets(st.integers(0, 3)),
    lost_boards=st.frozensets(st.integers(0, 2)),
    lost_chips=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 500)), max_size=2).map(tuple),
    tune=st.floats(0.05, 1.5),
    powered=st.booleans(),
)


@given(
    st.sampled_from(virtual_models()),
    st.lists(st.tuples(FAULTS, st.floats(-20, 60), st.floats(0.5, 60)), min_size=1, max_size=40),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_no_history_leads_to_what_cannot_be(
    model: Model, history: list[tuple[Faults, float, float]], seed: int
) -> None:
    rng = Random(seed)
    facts = make_facts(model, rng)
    state = cold_state(facts, 20.0)
    for faults, inlet_c, dt_s in history:
        before = state
        state = step_machine(state, facts, faults, inlet_c, dt_s, rng)
        assert 0 <= state.hashrate_hs <= 1.7 * model.hashrate_hs
        assert 0 <= state.power_w <= 2.5 * model.power_w
        assert -25 < state.temp_chip_max_c < 300
        assert all(0 <= rpm <= 1.1 * model.rpm_max for rpm in state.rpm)
        assert all(0 <= board.chips <= model.chips_per_board for board in state.boards)
        assert state.accepted >= before.accepted or state.uptime_s < before.uptime_s
        assert msgspec.json.encode(state), "all finite"


def test_a_rack_warms_with_its_heat_and_with_less_air() -> None:
    def settled(heat: float, airflow: float) -> float:
        return step_rack(20.0, 20.0, heat, airflow, 1e6)

    assert settled(0, 1) == pytest.approx(20)
    assert settled(1, 1) > settled(0.5, 1) > 20
    assert settled(1, 0.2) > settled(1, 1) + 15


def test_a_rack_takes_minutes_to_warm() -> None:
    first = step_rack(20.0, 20.0, 1.0, 0.2, 10)
    assert 20 < first < 24


def test_the_day_is_coldest_before_dawn_and_warmest_in_the_afternoon() -> None:
    by_hour = [ambient_at(hour * 3600, 15.0) for hour in range(24)]
    assert by_hour.index(min(by_hour)) == 4
    assert by_hour.index(max(by_hour)) == 16
