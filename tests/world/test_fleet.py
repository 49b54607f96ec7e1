"""A fleet is planned from its seed alone, and nothing of it could be taken for real."""

from __future__ import annotations

import ipaddress
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.errors import InputError
from redoubt.model.identity import parse_mac, parse_serial
from redoubt.model.ids import check_id
from redoubt.world import FleetPlan, plan_fleet
from redoubt.world.fleet import MIXTURE, split_fleet
from redoubt.world.models import SERVICES, virtual_models


def test_the_same_seed_gives_the_same_machines() -> None:
    assert plan_fleet(FleetPlan(machines=60, seed=3)) == plan_fleet(FleetPlan(machines=60, seed=3))


def test_another_seed_gives_other_machines() -> None:
    one, other = (plan_fleet(FleetPlan(machines=60, seed=seed)) for seed in (3, 4))
    assert {machine.mac for machine in one}.isdisjoint(machine.mac for machine in other)


def test_a_thousand_machines_are_mixed_as_agreed() -> None:
    fleet = plan_fleet(FleetPlan(machines=1000))
    assert Counter(machine.family for machine in fleet) == {
        "antminer": 700,
        "whatsminer_v3": 220,
        "axeos": 80,
    }


def test_ids_addresses_macs_and_serials_are_each_once() -> None:
    fleet = plan_fleet(FleetPlan(machines=1000))
    for values in (
        [machine.id for machine in fleet],
        [machine.address for machine in fleet],
        [machine.mac for machine in fleet],
        [machine.serial for machine in fleet if machine.serial],
        [(machine.rack, machine.slot) for machine in fleet],
        [serial for machine in fleet for serial in machine.board_serials],
    ):
        assert len(set(values)) == len(values)


def test_identity_is_of_a_form_that_redoubt_takes_for_one() -> None:
    for machine in plan_fleet(FleetPlan(machines=100)):
        assert check_id(machine.id) == machine.id
        assert parse_mac(machine.mac) == machine.mac.lower()
        assert machine.serial is None or parse_serial(machine.serial) == machine.serial


def test_nothing_could_be_mistaken_for_a_real_machine_or_account() -> None:
    for machine in plan_fleet(FleetPlan(machines=100, spares=3)):
        assert ipaddress.ip_address(machine.address).is_loopback
        assert int(machine.mac[:2], 16) & 2, "locally administered"
        assert ".invalid:" in machine.pool.url
        assert machine.worker.startswith("virtual-")
        assert machine.serial is None or machine.serial.startswith("VRT")


def test_a_slash_22_is_filled_to_its_last_address() -> None:
    fleet = plan_fleet(FleetPlan(machines=1022, network="127.5.4.0/22"))
    assert fleet[0].address == "127.5.4.1"
    assert fleet[-1].address == "127.5.7.254"


def test_some_factory_passwords_were_changed() -> None:
    antminers = [m for m in plan_fleet(FleetPlan(machines=1000)) if m.family == "antminer"]
    changed = sum(not machine.has_factory_password for machine in antminers)
    assert 0.2 < changed / len(antminers) < 0.4


def test_strangers_are_planned_outside_the_register() -> None:
    fleet = plan_fleet(FleetPlan(machines=20, spares=2))
    assert [machine.registered for machine in fleet] == [True] * 20 + [False] * 2
    assert fleet[-1].owner == ""


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (FleetPlan(machines=0), "expected 1 to"),
        (FleetPlan(machines=300, network="127.1.2.0/24"), "holds 254 machines, 300 are wanted"),
        (FleetPlan(network="10.0.0.0/8"), "127.0.0.0/8 only"),
        (FleetPlan(network="127.1.2.3/24"), "host bits"),
        (FleetPlan(network="here"), "expected a network like"),
        (FleetPlan(mixture={"avalon": 1.0}), "got 'avalon'"),
        (FleetPlan(mixture={"antminer": 0.0}), "positive shares"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_a_sentence(plan: FleetPlan, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_fleet(plan)


@given(
    st.integers(1, 5000),
    st.dictionaries(st.sampled_from(list(SERVICES)), st.floats(0.01, 100), min_size=1),
)
def test_a_mixture_always_adds_up(machines: int, mixture: dict[str, float]) -> None:
    assert sum(split_fleet(machines, mixture).values()) == machines


def test_every_family_has_models_and_every_model_is_efficient_enough_to_be_real() -> None:
    assert {model.family for model in virtual_models()} == set(SERVICES) == set(MIXTURE)
    for model in virtual_models():
        assert 10 < model.power_w / model.hashrate_ths < 40, model.name
        assert model.firmware
