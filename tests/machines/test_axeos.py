"""AxeOS of any version: fields come and go, and each is read by itself."""

from __future__ import annotations

import pytest

from redoubt.model.status import MachineState, PoolState, PowerKind
from tests.machines.replies import axeos, no_reply, parse


def test_everything_a_recent_version_says() -> None:
    status = parse("axeos", axeos())
    assert (status.make, status.model, status.firmware) == ("Bitaxe", "Gamma", "v2.9.0")
    assert status.hashrate_hs == 1_071_500_000_000
    assert status.hashrate_nominal_hs == 1_071_000_000_000
    assert (status.power_w, status.power_kind) == (17.25, PowerKind.CLAIMED)
    assert status.uptime_s == 900
    assert [fan.rpm for fan in status.fans] == [4200]
    board = status.boards[0]
    assert (board.temp_chip_max_c, board.temp_board_c) == (58.5, 52)
    assert (board.chips, board.chips_expected) == (None, 1)
    assert "boards.chips_expected" not in status.sources, "the machine said it, no table did"
    assert status.state is MachineState.HASHING
    assert status.errors == ()


@pytest.mark.parametrize(
    ("board_version", "model"),
    [("401", "Supra"), ("204", "Ultra"), ("601", "Gamma"), (601, "Gamma")],
)
def test_older_versions_name_their_board_only(board_version: object, model: str) -> None:
    status = parse("axeos", axeos(deviceModel=None, boardVersion=board_version))
    assert (status.make, status.model) == ("Bitaxe", model)


def test_a_board_that_no_table_knows_is_not_called_a_bitaxe() -> None:
    status = parse("axeos", axeos(deviceModel="NerdQAxe++", boardVersion="501"))
    assert (status.make, status.model) == (None, "NerdQAxe++")


def test_the_nominal_hashrate_comes_from_the_tables_where_the_version_says_none() -> None:
    status = parse("axeos", axeos(expectedHashrate=None))
    assert status.hashrate_nominal_hs == 1.071e12
    assert status.sources["hashrate_nominal_hs"].call == "hardware"


def test_pools_and_shares_of_the_one_in_use() -> None:
    first, second = parse("axeos", axeos()).pools
    assert (first.url, first.user) == ("stratum+tcp://pool.example:3333", "a.w")
    assert (first.state, first.accepted, first.rejected) == (PoolState.ACTIVE, 12, 1)
    assert (second.state, second.accepted) == (PoolState.UNKNOWN, None)


@pytest.mark.parametrize("flag", [1, True, "1"])
def test_on_its_fallback(flag: object) -> None:
    first, second = parse("axeos", axeos(isUsingFallbackStratum=flag)).pools
    assert (first.state, first.accepted) == (PoolState.UNKNOWN, None)
    assert (second.state, second.accepted) == (PoolState.ACTIVE, 12)


def test_before_there_were_fallbacks_the_one_pool_is_the_active_one() -> None:
    replies = axeos(fallbackStratumURL=None, isUsingFallbackStratum=None)
    (pool,) = parse("axeos", replies).pools
    assert (pool.state, pool.accepted) == (PoolState.ACTIVE, 12)


def test_a_machine_that_stopped_itself_says_so() -> None:
    status = parse("axeos", axeos(overheat_mode=1, hashRate=0))
    assert [fault.code for fault in status.errors] == ["overheat_mode"]
    assert status.state is MachineState.DEGRADED


def test_chips_are_those_that_hash_where_the_version_lists_them() -> None:
    monitor = {"asics": [{"total": 500.5}, {"total": 0}, {"total": None}]}
    board = parse("axeos", axeos(hashrateMonitor=monitor, asicCount=3)).boards[0]
    assert (board.chips, board.chips_expected) == (1, 3)


def test_an_empty_reply_invents_no_board() -> None:
    status = parse("axeos", {"system_info": {}})
    assert status.boards == ()
    assert status.fans == ()
    assert status.state is MachineState.UNKNOWN


def test_a_version_without_the_asic_page_loses_nothing() -> None:
    status = parse("axeos", axeos() | {"asic_info": no_reply("answers HTTP 404")})
    assert status.model == "Gamma"
