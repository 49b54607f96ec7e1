"""Families are found by their folders, and each keeps the shape that scan and poller rely on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from redoubt.machines import Auth, Cadence, drivers, find_driver, service_ports
from redoubt.model.errors import InputError
from redoubt.model.status import MachineStatus

STATUS_FIELDS = set(MachineStatus.__struct_fields__)
BOARD_COLUMNS = {"serial", "hashrate_hs", "chips", "temp_board_c", "temp_chip_max_c"}


def test_every_folder_is_a_family() -> None:
    assert {"antminer", "axeos", "whatsminer_v3"} <= set(drivers())
    assert service_ports() == {
        "antminer": 4028,
        "antminer.web": 80,
        "whatsminer_v3": 4433,
        "axeos": 80,
    }


def test_the_import_contract_keeps_every_family_apart() -> None:
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    contracts = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]["contracts"]
    (apart,) = (contract for contract in contracts if contract["id"] == "families")
    assert set(apart["modules"]) == {f"redoubt.machines.{family}" for family in drivers()}


def test_an_unknown_family_is_the_users_to_mend() -> None:
    with pytest.raises(InputError, match="expected a machine family"):
        find_driver("toaster")
    with pytest.raises(InputError, match="has no call"):
        find_driver("axeos").call("restart")


@pytest.mark.parametrize("family", sorted(drivers()))
def test_the_shape_of_a_driver(family: str) -> None:
    driver = drivers()[family]
    names = [call.name for call in driver.calls]
    assert driver.family == family
    assert len(names) == len(set(names)), "a call is made once"
    assert driver.call(driver.probe).auth is Auth.NONE, "a scan sends no password"
    assert all(call.service in driver.services for call in driver.calls)
    assert all(call.kind == "read" for call in driver.calls)
    assert all(0 < call.bounds.timeout_s <= 10 for call in driver.calls)
    for field in driver.fields:
        head, _, column = field.name.partition(".")
        assert head in STATUS_FIELDS
        assert not column or column in BOARD_COLUMNS
        assert all(call in names for call, _extractor in field.places)


def test_a_steady_poll_of_a_stock_antminer_is_three_requests() -> None:
    steady = [call for call in drivers()["antminer"].calls if call.cadence is Cadence.STEADY]
    assert [call.name for call in steady] == ["stats", "summary", "pools"]
    assert all(call.auth is Auth.NONE for call in steady)
