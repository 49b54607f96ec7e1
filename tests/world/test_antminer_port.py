"""Port 4028 answers as bmminer does, with the quirks that break careless parsers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.world.talk import ask_4028, stats_of, with_quirk, without_quirk, world_of

ANTMINERS = {"antminer": 1.0}
MANY = 140
"""Racks hold one model each, so that this many stand for every model."""


@pytest.mark.parametrize("command", ["version", "stats", "summary", "pools"])
async def test_every_reply_ends_in_one_nul_and_the_connection_closes(command: str) -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        reply = await ask_4028(world, world.machines[0], {"command": command})
    assert reply.endswith(b"}\0")
    assert reply.count(b"\0") == 1


async def test_one_connection_bears_one_request() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        one = await ask_4028(world, world.machines[0], b'{"command":"version"}')
        two = await ask_4028(world, world.machines[0], b'{"command":"version"}\n' * 2)
    assert json.loads(one.rstrip(b"\0"))["VERSION"]
    assert two.count(b"\0") == 1


async def test_stats_of_older_firmware_is_no_json_for_want_of_a_comma() -> None:
    async with world_of(MANY, mixture=ANTMINERS) as world:
        old = await ask_4028(world, with_quirk(world, "missing_comma"), {"command": "stats"})
        new = await ask_4028(world, without_quirk(world, "missing_comma"), {"command": "stats"})
    with pytest.raises(json.JSONDecodeError):
        json.loads(old.rstrip(b"\0"))
    assert old.count(b"}{") == 1
    mended = json.loads(old.rstrip(b"\0").replace(b"}{", b"},{"))
    assert mended["STATS"][0]["Type"].startswith("Antminer ")
    assert json.loads(new.rstrip(b"\0"))["STATS"][1]["rate_unit"] == "GH"


async def test_pools_of_the_oldest_firmware_have_a_comma_too_many() -> None:
    async with world_of(MANY, mixture=ANTMINERS) as world:
        reply = await ask_4028(world, with_quirk(world, "trailing_comma"), {"command": "pools"})
    assert b"},]" in reply
    mended = json.loads(reply.rstrip(b"\0").replace(b"},]", b"}]"))
    assert mended["POOLS"][0]["Stratum Active"] is True


async def test_older_firmware_sends_the_short_rate_as_text_and_newer_as_a_number() -> None:
    async with world_of(MANY, mixture=ANTMINERS) as world:
        old = await stats_of(world, with_quirk(world, "missing_comma"))
        new = await stats_of(world, without_quirk(world, "missing_comma"))
    assert isinstance(old["GHS 5s"], str)
    assert isinstance(new["GHS 5s"], float)


async def test_the_newer_dialect_is_spoken_where_the_firmware_knows_it() -> None:
    request = {"command": "stats", "new_api": True}
    async with world_of(MANY, mixture=ANTMINERS) as world:
        machine = with_quirk(world, "new_api")
        document = json.loads((await ask_4028(world, machine, request)).rstrip(b"\0"))
        truth = world.truth(machine.id)
        older = await ask_4028(world, without_quirk(world, "new_api"), request)
    stats = document["STATS"][0]
    assert document["STATUS"]["api_version"] == "1.0.0"
    assert document["INFO"]["type"] == machine.model.reported
    assert stats["rate_unit"] == "GH/s"
    assert stats["rate_5s"] * 1e9 == pytest.approx(truth.hashrate_hs, rel=0.06)
    assert [chain["sn"] for chain in stats["chain"]] == list(machine.board_serials)
    assert b'"BMMiner"' in older, "firmware that knows no new_api answers in the old dialect"


@pytest.mark.parametrize(
    ("request_body", "code", "message"),
    [
        (b'{"command":"summary+pools"}', 14, "Invalid command"),
        (b'{"command":"nonsense"}', 14, "Invalid command"),
        (b'{"command":"restart"}', 45, "Access denied to 'restart' command"),
        (b'{"cmd":"stats"}', 24, "Missing JSON 'command'"),
        (b'{"command":7}', 24, "Missing JSON 'command'"),
    ],
)
async def test_what_is_refused_and_how(request_body: bytes, code: int, message: str) -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        reply = await ask_4028(world, world.machines[0], request_body)
    status = json.loads(reply.rstrip(b"\0"))["STATUS"][0]
    assert (status["STATUS"], status["Code"], status["Msg"]) == ("E", code, message)


async def test_a_request_may_come_byte_by_byte() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        address = world.machines[0].address
        reader, writer = await asyncio.open_connection(address, world.ports["antminer"])
        for byte in b'{"command":"version"}':
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.read()).endswith(b"\0")
        writer.close()


async def test_a_request_cut_short_is_answered_as_no_json() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        address = world.machines[0].address
        reader, writer = await asyncio.open_connection(address, world.ports["antminer"])
        writer.write(b'{"command":"sta')
        writer.write_eof()
        reply = await reader.read()
        writer.close()
    assert json.loads(reply.rstrip(b"\0"))["STATUS"][0]["Code"] == 23


@pytest.mark.parametrize("body", [b"\xff" * 9000, b"[" * 9000, b'{"command":' + b'"x' * 6000])
async def test_a_flood_instead_of_a_request_is_answered_once_and_closed(body: bytes) -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        try:
            reply = await ask_4028(world, world.machines[0], body)
        except ConnectionResetError:
            return
    assert b'"Code":23' in reply


def lost_board(stats: dict[str, Any], number: int) -> tuple[Any, ...]:
    return tuple(stats[f"{key}{number}"] for key in ("chain_acn", "chain_rate", "temp_chip"))


async def test_old_dialect_shows_faults_where_people_look_for_them() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        machine = world.machines[0]
        live = world.live(machine.id)
        live.faults = type(live.faults)(
            dead_fans=frozenset({1}), lost_boards=frozenset({2}), lost_chips=((0, 5),)
        )
        await world.advance(30)
        stats = await stats_of(world, machine)
    assert stats["fan2"] == 0
    assert stats["fan1"] > 1000
    assert stats["fan1"] % 60 == 0
    assert stats["miner_count"] == 2
    assert lost_board(stats, 3) == (0, "", "0-0-0-0")
    assert stats["chain_acn1"] == machine.model.chips_per_board - 5
    assert stats["chain_acs1"].count("x") == 5


async def test_values_change_from_tick_to_tick_and_not_between() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        machine = world.machines[0]
        one = await ask_4028(world, machine, {"command": "stats"})
        two = await ask_4028(world, machine, {"command": "stats"})
        await world.advance(2)
        three = await ask_4028(world, machine, {"command": "stats"})
    assert one == two
    assert one != three


async def test_plain_text_of_older_clients_is_answered_as_no_json() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        reply = await ask_4028(world, world.machines[0], b"stats")
    assert b'"Code":23' in reply
