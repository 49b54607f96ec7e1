"""Replies captured from real machines give what stands in them, and nothing that does not.

The captures are read where they lie (`../shared/corpus/miner-replies`), never copied.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.machines import Reply, drivers, parse_status
from redoubt.model.identity import identity_of
from redoubt.model.status import MachineState, MachineStatus, PoolState, PowerKind
from tests.machines.replies import NOW

FOLDERS = {"antminer": "antminer/v2020", "whatsminer_v3": "whatsminer/v3", "axeos": "bitaxe/v2_0_0"}


def read(miner_replies: Path, family: str, **instead: str) -> MachineStatus:
    """Parse a family's captures; `instead` names another file for a call."""
    calls = [call.name for call in drivers()[family].calls]
    files = {name: instead.get(name, name) for name in calls}
    folder = miner_replies / FOLDERS[family]
    replies = {
        name: Reply((folder / f"{file}.json").read_bytes(), NOW)
        for name, file in files.items()
        if (folder / f"{file}.json").exists()
    }
    assert replies, "the captures of this family are gone"
    return parse_status(family, replies, NOW, address="192.0.2.1")


def test_a_stock_antminer(miner_replies: Path) -> None:
    status = read(miner_replies, "antminer")
    assert (status.make, status.model) == ("Bitmain", "Antminer S21")
    assert status.firmware == "FR-1.12(251009-S21)"
    assert status.serial == "THQING0BDJAB024NF"
    assert status.mac == "02:55:97:22:3M:72"
    assert identity_of(status).mac is None
    assert status.hostname == "Antminer"
    assert status.hashrate_hs == 110_566_890_000_000
    assert status.uptime_s == 50474
    assert status.power_kind is PowerKind.ESTIMATED
    assert status.state is MachineState.HASHING
    assert status.boards == ()
    assert status.fans == ()
    assert status.pools == ()
    assert status.temp_chip_max_c is None


def test_a_whatsminer(miner_replies: Path) -> None:
    status = read(miner_replies, "whatsminer_v3")
    assert (status.make, status.model) == ("MicroBT", "M60S_VK40")
    assert status.firmware == "20251209.16.Rel2"
    assert status.serial == "BTM3CS40HD24083100000000000000000"
    assert identity_of(status).mac == "ce:02:01:00:8c:36"
    assert status.hashrate_hs == 171_259_000_000_000
    assert status.hashrate_nominal_hs == 181_051_000_000_000
    assert (status.power_w, status.power_kind) == (3156.0, PowerKind.CLAIMED)
    assert (status.temp_inlet_c, status.uptime_s) == (28.5, 50000)
    assert [board.serial for board in status.boards] == [
        "BKM3CSE1404807K42757",
        "BKM3CSE1404812K43675",
        "BKM3CSE1404807K42762",
    ]
    assert [board.temp_board_c for board in status.boards] == [41.1, 40.1, 41.5]
    assert [board.temp_chip_max_c for board in status.boards] == [80.0, 82.0, 81.0]
    assert [board.chips for board in status.boards] == [75, 75, 75]
    assert [fan.rpm for fan in status.fans] == [5400, 5280]
    assert status.psu is not None
    assert (status.psu.model, status.psu.serial) == ("P221B", "1436B2429603097")
    assert [pool.state for pool in status.pools] == [
        PoolState.ACTIVE,
        PoolState.ALIVE,
        PoolState.ALIVE,
    ]
    assert status.pools[0].url == "stratum+tcp://btc.example.pool:3333"
    assert status.errors == ()
    assert status.notes == ()


def test_a_whatsminer_with_errors(miner_replies: Path) -> None:
    status = read(miner_replies, "whatsminer_v3", get_device_info="get_device_info_with_errors")
    assert [fault.code for fault in status.errors] == ["264", "265", "266", "267", "270"]
    assert status.errors[0].text.startswith("Power xfer error.")


def test_a_bitaxe(miner_replies: Path) -> None:
    status = read(miner_replies, "axeos")
    assert (status.make, status.model) == ("Bitaxe", "Supra")
    assert status.firmware == "v2.4.5-3-gb5d1e36-dirty"
    assert status.serial is None
    assert identity_of(status).mac == "aa:bb:cc:dd:ee:ff"
    assert status.hashrate_hs == 1e12
    assert status.power_w == pytest.approx(2.65)
    assert status.uptime_s == 4
    assert [fan.rpm for fan in status.fans] == [3517]
    (board,) = status.boards
    assert (board.temp_chip_max_c, board.temp_board_c) == (59.875, 78)
    assert [pool.url for pool in status.pools] == [
        "stratum+tcp://btc.example.pool:3333",
        "stratum+tcp://btc2.example.pool:3333",
    ]
    assert status.pools[0].state is PoolState.ACTIVE
    assert status.pools[0].user == "asic-rs.test"


def test_no_family_is_taken_for_another(miner_replies: Path) -> None:
    """Every capture of every maker, shown to each family's identification."""
    for file in sorted(miner_replies.rglob("*.json")):
        for family, driver in drivers().items():
            try:
                document = driver.decode(file.read_bytes())
            except ValueError:
                continue
            own = FOLDERS[family] in file.as_posix()
            assert own or not driver.is_family(document), (family, file.name)


def test_no_capture_of_any_maker_breaks_a_parser(miner_replies: Path) -> None:
    for file in sorted(miner_replies.rglob("*.json")):
        reply = Reply(file.read_bytes(), NOW)
        for family, driver in drivers().items():
            parse_status(family, {call.name: reply for call in driver.calls}, NOW)
