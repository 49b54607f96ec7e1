"""A stock Antminer is read by meaning, in both dialects, and nothing is made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from redoubt.machines import drivers
from redoubt.model.identity import identity_of
from redoubt.model.status import MachineState, PoolState, PowerKind, Why
from tests.machines.replies import antminer, needs_auth, new_stats, no_reply, old_stats, parse


def test_the_old_dialect() -> None:
    status = parse("antminer", antminer())
    assert status.model == "Antminer S19j Pro"
    assert status.firmware == "FR-1.2"
    assert status.serial == "SMTTXYZ"
    assert status.hashrate_hs == 104_210_550_000_000
    assert status.hashrate_nominal_hs == 104e12
    assert status.uptime_s == 3600
    assert status.clock_at == datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    assert [board.index for board in status.boards] == [0, 1, 2]
    board = status.boards[0]
    assert (board.chips, board.chips_expected) == (126, 126)
    assert (board.temp_board_c, board.temp_chip_max_c) == (60, 77)
    assert board.hashrate_hs == 34_736_850_000_000
    assert [fan.rpm for fan in status.fans] == [5001, 5002, 5003, 5004]
    assert status.state is MachineState.HASHING
    assert status.notes == ()


def test_the_old_dialect_as_it_comes_without_a_comma_and_with_nul() -> None:
    text = json.dumps(old_stats()).replace("}, {", "}{")
    assert "}{" in text
    status = parse("antminer", antminer(stats=text.encode() + b"\0"))
    assert len(status.boards) == 3
    assert status.sources["boards"].why is None


def test_the_new_dialect() -> None:
    status = parse("antminer", {"stats": new_stats()})
    assert status.model == "Antminer S21"
    assert status.firmware == "Thu Jul 18 2024"
    assert status.hashrate_hs == 198_001_500_000_000
    assert status.uptime_s == 7200
    assert [board.serial for board in status.boards] == ["SN0", "SN1", "SN2"]
    assert status.boards[0].temp_board_c == 61
    assert status.boards[0].temp_chip_max_c == 74
    assert [fan.rpm for fan in status.fans] == [5880, 5820, 0, 5760]


def test_watts_are_estimated_from_the_model_and_say_so() -> None:
    status = parse("antminer", antminer())
    assert status.power_kind is PowerKind.ESTIMATED
    assert status.power_w == pytest.approx(3068 * 104.21055 / 104, rel=1e-3)
    assert status.sources["power_w"].call == "hardware"


def test_the_hashrate_class_that_the_machine_claims_picks_the_watts() -> None:
    status = parse(
        "antminer",
        antminer(
            stats=old_stats(total_rateideal=96000.0),
            summary={"SUMMARY": [{"GHS 5s": 96000.0}]},
        ),
    )
    assert status.power_w == pytest.approx(2832)


@pytest.mark.parametrize("value", [3021.5, "3021.5", "3021.5 (AB)"])
def test_watts_that_the_machine_tells_are_its_claim(value: object) -> None:
    status = parse("antminer", antminer(stats=old_stats(chain_power=value)))
    assert (status.power_w, status.power_kind) == (3021.5, PowerKind.CLAIMED)


def test_nothing_is_estimated_for_a_machine_that_hashes_nothing() -> None:
    status = parse("antminer", antminer(summary={"SUMMARY": [{"GHS 5s": 0}]}))
    assert status.power_w is None
    assert status.power_kind is None
    assert status.state is MachineState.DEGRADED


def test_a_slot_of_a_model_with_three_boards_that_is_empty_is_a_lost_board() -> None:
    lost = {"chain_acn2": 0, "chain_rate2": "", "temp_pcb2": "0-0-0-0", "temp_chip2": "0-0-0-0"}
    fourth = {"chain_acn4": 0, "chain_rate4": "", "temp_pcb4": "0-0-0-0"}
    status = parse("antminer", antminer(stats=old_stats(temp2=0, temp2_2=0, **lost, **fourth)))
    assert [(board.index, board.chips) for board in status.boards] == [(0, 126), (1, 0), (2, 126)]
    assert status.boards[1].temp_chip_max_c is None
    assert status.state is MachineState.DEGRADED


def test_sixteen_slots_of_an_unknown_model_are_not_sixteen_boards() -> None:
    slots: dict[str, Any] = {f"chain_acn{chain}": 0 for chain in range(4, 17)}
    stats = old_stats(**slots)
    stats["STATS"][0]["Type"] = "Antminer X99"
    assert len(parse("antminer", {"stats": stats}).boards) == 3


def test_more_fan_sockets_than_fans() -> None:
    fans = {f"fan{socket}": 0 for socket in range(1, 9)} | {"fan3": 4000, "fan6": 4100}
    status = parse("antminer", {"stats": old_stats(fan_num=2, **fans)})
    assert [(fan.index, fan.rpm) for fan in status.fans] == [(2, 4000), (5, 4100)]


def test_the_pool_in_use_is_told_from_those_that_could_be() -> None:
    pools = parse("antminer", antminer()).pools
    assert [pool.state for pool in pools] == [PoolState.ALIVE, PoolState.ACTIVE, PoolState.DEAD]
    assert (pools[1].url, pools[1].user) == ("stratum+tcp://pool1.example:3333", "account.1")
    assert (pools[1].accepted, pools[1].rejected, pools[1].stale) == (10, 1, 0)


def test_the_new_dialect_of_pools_and_summary() -> None:
    row = {"index": 0, "url": "stratum+tcp://p.example:1", "user": "u", "status": "Alive"}
    trouble = [
        {"type": "rate", "status": "s", "code": 0, "msg": ""},
        {"type": "temp", "status": "e", "code": 3, "msg": "too hot"},
    ]
    summary = {"elapsed": 9, "rate_5s": 1.5, "rate_unit": "TH/s", "status": trouble}
    status = parse("antminer", {"pools": {"POOLS": [row]}, "summary": {"SUMMARY": [summary]}})
    assert status.pools[0].state is PoolState.ACTIVE
    assert status.hashrate_hs == 1.5e12
    assert [(fault.code, fault.text) for fault in status.errors] == [("temp", "too hot")]


def test_without_a_password_identity_is_unknown_and_the_source_says_why() -> None:
    status = parse("antminer", antminer(system_info=needs_auth()))
    assert status.mac is None
    assert status.sources["mac"].why is Why.NEEDS_AUTH
    assert status.model == "Antminer S19j Pro"
    assert status.state is MachineState.HASHING


def test_a_mac_that_none_can_be_is_kept_and_not_used() -> None:
    info = {"macaddr": "02:55:97:22:3M:72", "serinum": "S1"}
    status = parse("antminer", antminer(system_info=info))
    assert status.mac == "02:55:97:22:3M:72"
    assert identity_of(status).mac is None
    assert status.sources["mac"].why is Why.IMPLAUSIBLE
    assert [note.code for note in status.notes] == ["mac_invalid"]


def test_one_bad_field_never_loses_the_rest() -> None:
    bad = old_stats(chain_rate1=["?"], temp_chip2={"a": 1}, fan2="fast", total_rateideal="many")
    status = parse("antminer", antminer(stats=bad))
    assert [board.hashrate_hs is None for board in status.boards] == [True, False, False]
    assert status.boards[1].temp_chip_max_c is None or status.boards[1].temp_chip_max_c == 70
    assert [fan.rpm for fan in status.fans] == [5001, None, 5003, 5004]
    assert status.hashrate_hs == 104_210_550_000_000


def test_a_call_that_failed_costs_its_own_fields_only() -> None:
    status = parse("antminer", antminer(stats=no_reply(), pools=b"{garbage"))
    assert status.hashrate_hs == 104_210_550_000_000
    assert status.boards == ()
    assert status.sources["boards"].why is Why.NO_REPLY
    assert status.sources["pools"].why is Why.UNPARSED


def test_a_machine_that_answers_nothing_is_offline_and_keeps_its_name() -> None:
    silent = dict.fromkeys(("stats", "summary", "pools"), no_reply())
    status = parse("antminer", antminer(**silent))
    assert status.state is MachineState.OFFLINE
    assert status.hashrate_hs is None
    assert status.power_w is None
    assert status.serial == "SMTTXYZ"
    assert [(note.code, note.text) for note in status.notes] == [
        ("no_reply", "stats, summary, pools: no reply within 5 s")
    ]


def test_sleep_is_told_from_failure() -> None:
    status = parse("antminer", {"stats": new_stats(rate_5s=0, **{"miner-mode": 1})})
    assert status.state is MachineState.SLEEPING


@pytest.mark.parametrize(
    ("entry", "is_stock"),
    [
        ({"Type": "Antminer S19", "BMMiner": "1.0"}, True),
        ({"Type": "Antminer S19 (vnish 1.2.6)", "BMMiner": "1.0"}, False),
        ({"Type": "Antminer S9", "BOSminer+": "0.4"}, False),
        ({"LUXminer": "2025.1", "Type": "Antminer S19"}, False),
        ({"API": "3.7", "CGMiner": "4.11.1"}, False),
    ],
)
def test_stock_firmware_is_told_from_others_on_the_same_hardware(
    entry: dict[str, str], is_stock: bool
) -> None:
    assert drivers()["antminer"].is_family({"VERSION": [entry]}) is is_stock
