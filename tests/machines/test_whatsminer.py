"""A WhatsMiner with API 3: boards from three replies, watts as claimed, errors in their quirks."""

from __future__ import annotations

import pytest

from redoubt.model.status import MachineState, PoolState, PowerKind, Psu
from tests.machines.replies import no_reply, parse, whatsminer


def test_everything_it_says() -> None:
    status = parse("whatsminer_v3", whatsminer())
    assert (status.make, status.model) == ("MicroBT", "M60S_VK40")
    assert (status.serial, status.mac) == ("WSN1", "02:aa:bb:cc:dd:ee")
    assert status.hashrate_hs == 171.5e12
    assert status.hashrate_nominal_hs == 181e12
    assert (status.power_w, status.power_kind) == (3156, PowerKind.CLAIMED)
    assert status.efficiency_j_per_th == pytest.approx(18.4, abs=0.01)
    assert status.temp_inlet_c == 28.5
    assert [fan.rpm for fan in status.fans] == [5400, 5280]
    assert status.psu == Psu(model="P221B", serial="P1", firmware="2302", fan_rpm=6300)
    assert status.clock_at is not None
    assert status.state is MachineState.HASHING


def test_boards_are_put_together_from_three_replies() -> None:
    board = parse("whatsminer_v3", whatsminer()).boards[1]
    assert (board.index, board.serial, board.chips) == (1, "B1", 75)
    assert (board.temp_board_c, board.temp_chip_max_c) == (40.1, 81)
    assert board.hashrate_hs == 85.7e12


def test_boards_lose_only_the_column_whose_reply_is_missing() -> None:
    replies = whatsminer()
    replies["get_miner_status_edevs"] = no_reply()
    boards = parse("whatsminer_v3", replies).boards
    assert [(board.serial, board.temp_board_c) for board in boards] == [("B0", 41.1), ("B1", 40.1)]
    assert boards[0].hashrate_hs is None


def test_the_pool_in_use() -> None:
    pools = parse("whatsminer_v3", whatsminer()).pools
    assert [pool.state for pool in pools] == [PoolState.ALIVE, PoolState.ACTIVE]
    assert pools[0].accepted is None


def test_errors_in_every_form_seen() -> None:
    listed = [
        {"264": "2026-05-23 09:19:10", "reason": "Power xfer error."},
        {"reason": "no code"},
        "530",
        111,
        {},
        None,
    ]
    status = parse("whatsminer_v3", whatsminer(info={"miner": {}, "error-code": listed}))
    assert [(fault.code, fault.text) for fault in status.errors] == [
        ("264", "Power xfer error. (at 2026-05-23 09:19:10 by its own clock)"),
        (None, "no code"),
        ("530", "not told"),
        ("111", "not told"),
    ]


def test_a_machine_that_was_told_to_stop_is_sleeping() -> None:
    replies = whatsminer(
        info={"miner": {"working": "false"}}, summary={"hash-realtime": 0, "power-realtime": 20}
    )
    assert parse("whatsminer_v3", replies).state is MachineState.SLEEPING


def test_a_machine_without_fans_may_hash() -> None:
    summary = {"hash-realtime": 300.0, "fan-speed-in": 0, "fan-speed-out": 0}
    replies = whatsminer(info={"miner": {"type": "M66S_VK30"}}, summary=summary)
    assert parse("whatsminer_v3", replies).notes == ()


def test_a_refusal_in_place_of_a_message_is_no_data() -> None:
    replies = whatsminer()
    replies["get_miner_status_summary"] = {"code": -1, "msg": "invalid"}
    status = parse("whatsminer_v3", replies)
    assert status.hashrate_hs is None
    assert status.serial == "WSN1"
