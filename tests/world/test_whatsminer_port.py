"""Port 4433 speaks WhatsMiner API v3: a little-endian length, then JSON, on one open connection."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.world.talk import first_of, whatsminer, world_of

WHATSMINERS = {"whatsminer_v3": 1.0}


async def test_the_length_is_four_bytes_least_first() -> None:
    async with world_of(1, mixture=WHATSMINERS) as world:
        port = world.ports["whatsminer_v3"]
        reader, writer = await asyncio.open_connection(world.machines[0].address, port)
        body = b'{"cmd":"get.device.info"}'
        writer.write(bytes([len(body), 0, 0, 0]) + body)
        prefix = await reader.readexactly(4)
        length = prefix[0] + 256 * prefix[1] + 65536 * prefix[2]
        document = json.loads(await reader.readexactly(length))
        writer.close()
    assert document["code"] == 0


async def test_one_connection_bears_many_requests_even_sent_at_once() -> None:
    async with (
        world_of(1, mixture=WHATSMINERS) as world,
        whatsminer(world, world.machines[0]) as connection,
    ):
        info = await connection.ask({"cmd": "get.device.info"})
        summary = await connection.ask({"cmd": "get.miner.status", "param": "summary"})
        body = b'{"cmd":"get.miner.status","param":"pools"}'
        connection.writer.write((len(body).to_bytes(4, "little") + body) * 3)
        pools: dict[str, Any] = {}
        for _ in range(3):
            length = int.from_bytes(await connection.reader.readexactly(4), "little")
            pools = json.loads(await connection.reader.readexactly(length))
    assert info["desc"] == "get.device.info"
    assert set(summary["msg"]) == {"summary"}
    assert pools["msg"]["pools"][0]["stratum-active"] is True


async def test_device_info_tells_identity_and_a_salt_that_stays() -> None:
    async with world_of(1, mixture=WHATSMINERS) as world:
        machine = world.machines[0]
        async with whatsminer(world, machine) as connection:
            message = (await connection.ask({"cmd": "get.device.info"}))["msg"]
            only = (await connection.ask({"cmd": "get.device.info", "param": "salt"}))["msg"]
            await world.advance(60)
            later = (await connection.ask({"cmd": "get.device.info"}))["msg"]
    assert message["miner"]["miner-sn"] == machine.serial
    assert message["network"]["mac"] == machine.mac
    assert message["network"]["ip"] == machine.address
    assert message["miner"]["pcbsn1"] == machine.board_serials[1]
    assert len(message["salt"]) == 8
    assert only == {"salt": message["salt"]}
    assert later["salt"] == message["salt"]


async def test_summary_tells_what_is_so_in_terahashes_and_watts() -> None:
    async with world_of(1, mixture=WHATSMINERS) as world:
        machine = world.machines[0]
        async with whatsminer(world, machine) as connection:
            reply = await connection.ask({"cmd": "get.miner.status", "param": "summary"})
        truth = world.truth(machine.id)
    summary = reply["msg"]["summary"]
    assert summary["hash-realtime"] * 1e12 == pytest.approx(truth.hashrate_hs, rel=0.06)
    assert summary["power-realtime"] == pytest.approx(truth.power_w, abs=1)
    assert summary["chip-temp-max"] == pytest.approx(truth.temp_chip_max_c, abs=0.1)
    assert summary["environment-temperature"] == pytest.approx(truth.temp_inlet_c, abs=0.1)


async def test_sections_can_be_joined_and_none_gives_none() -> None:
    async with (
        world_of(1, mixture=WHATSMINERS) as world,
        whatsminer(world, world.machines[0]) as connection,
    ):
        joined = await connection.ask({"cmd": "get.miner.status", "param": "pools+summary+edevs"})
        nothing = await connection.ask({"cmd": "get.miner.status"})
    assert set(joined["msg"]) == {"pools", "summary", "edevs"}
    assert nothing["msg"] == {}


@pytest.mark.parametrize(
    ("request_body", "code", "message"),
    [
        (b'{"cmd":"get.nothing"}', -2, "invalid command"),
        (b'{"cmd":"set.system.reboot"}', -4, "no permission"),
        (b'{"cmd":"get.miner.status","param":"secrets"}', -3, "param error"),
        (b'{"cmd":"get.device.info","param":"secrets"}', -3, "param error"),
        (b'{"cmd":5}', -3, "param null"),
        (b"no json", -1, "json decode error"),
        (b"[]", -1, "json decode error"),
        (b"", -1, "json decode error"),
        (b"\xff\xfe", -1, "json decode error"),
    ],
)
async def test_what_is_refused_and_how(request_body: bytes, code: int, message: str) -> None:
    async with (
        world_of(1, mixture=WHATSMINERS) as world,
        whatsminer(world, world.machines[0]) as connection,
    ):
        reply = await connection.ask(request_body)
        again = await connection.ask({"cmd": "get.device.info"})
    assert (reply["code"], reply["msg"]) == (code, message)
    assert again["code"] == 0, "the connection goes on"


async def test_a_request_said_to_be_huge_ends_the_connection() -> None:
    async with (
        world_of(1, mixture=WHATSMINERS) as world,
        whatsminer(world, world.machines[0]) as connection,
    ):
        connection.writer.write(b"\xff\xff\xff\x7f{}")
        assert await connection.reader.read() == b""


async def test_faults_are_told_by_the_makers_codes() -> None:
    async with world_of(10) as world:
        machine = first_of(world, "whatsminer_v3")
        live = world.live(machine.id)
        live.faults = type(live.faults)(dead_fans=frozenset({1}), lost_boards=frozenset({0}))
        await world.advance(10)
        async with whatsminer(world, machine) as connection:
            info = await connection.ask({"cmd": "get.device.info"})
            edevs = await connection.ask({"cmd": "get.miner.status", "param": "edevs"})
    codes = {code for row in info["msg"]["error-code"] for code in row if code != "reason"}
    assert codes == {"111", "530"}
    board = edevs["msg"]["edevs"][0]
    assert (board["status"], board["effective-chips"], board["hash-average"]) == ("dead", 0, 0.0)
