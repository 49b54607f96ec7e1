"""Each misbehaviour does to a poller what its name says, in every family."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from redoubt.world import Misbehaviour, VirtualMachine, World
from redoubt.world.misbehaviour import DEEP_LEVELS, GARBAGE
from tests.world.talk import first_of, is_refused, world_of

FAMILIES = ["antminer", "whatsminer_v3", "axeos"]
SERVICE = {name: name for name in FAMILIES}
INFO_BODY = b'{"cmd":"get.device.info"}'
REQUESTS = {
    "antminer": b'{"command":"summary"}',
    "whatsminer_v3": len(INFO_BODY).to_bytes(4, "little") + INFO_BODY,
    "axeos": b"GET /api/system/info HTTP/1.1\r\nConnection: close\r\n\r\n",
}


async def read_for(
    world: World, machine: VirtualMachine, seconds: float, limit: int = 1 << 20
) -> tuple[bytes, bool]:
    """Return what a machine sends within `seconds`, and whether it closed."""
    port = world.ports[SERVICE[machine.family]]
    reader, writer = await asyncio.open_connection(machine.address, port)
    received, closed = b"", False
    try:
        async with asyncio.timeout(seconds):
            writer.write(REQUESTS[machine.family])
            while len(received) < limit:
                part = await reader.read(65536)
                if not part:
                    closed = True
                    break
                received += part
    except TimeoutError:
        pass
    except ConnectionResetError:
        closed = True
    writer.close()
    return received, closed


def body_of(family: str, received: bytes) -> bytes:
    if family == "antminer":
        return received.rstrip(b"\0")
    return received[4:] if family == "whatsminer_v3" else received.partition(b"\r\n\r\n")[2]


async def good_reply(family: str) -> bytes:
    async with world_of(10) as world:
        return (await read_for(world, first_of(world, family), 0.5))[0]


def misbehaving(family: str, how: Misbehaviour) -> dict[str, Any]:
    return {"mixture": {family: 1.0}, "misbehave": {how: 1}}


@pytest.mark.parametrize("family", FAMILIES)
async def test_hang_says_nothing_and_leaves_nothing_open(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.HANG)) as world:
        machine = world.machines[0]
        assert await read_for(world, machine, 0.2) == (b"", False)
        for _ in range(50):
            if not world.live(machine.id).connections:
                break
            await asyncio.sleep(0.01)
        assert not world.live(machine.id).connections


@pytest.mark.parametrize("family", FAMILIES)
async def test_drip_sends_a_byte_now_and_then(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.DRIP)) as world:
        received, closed = await read_for(world, world.machines[0], 0.65)
    assert 1 <= len(received) <= 4
    assert not closed


@pytest.mark.parametrize("family", FAMILIES)
async def test_truncate_sends_half_and_closes(family: str) -> None:
    whole = await good_reply(family)
    async with world_of(10, misbehave={Misbehaviour.TRUNCATE: 10}) as world:
        received, closed = await read_for(world, first_of(world, family), 1)
    assert closed
    assert abs(len(received) - len(whole) // 2) < 20
    with pytest.raises(json.JSONDecodeError):
        json.loads(body_of(family, received))


@pytest.mark.parametrize("family", FAMILIES)
async def test_garbage_is_of_no_protocol(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.GARBAGE)) as world:
        assert await read_for(world, world.machines[0], 1) == (GARBAGE, True)


async def test_wrong_length_announces_more_than_it_sends() -> None:
    async with world_of(10, misbehave={Misbehaviour.WRONG_LENGTH: 10}) as world:
        framed, _ = await read_for(world, first_of(world, "whatsminer_v3"), 0.3)
        page, _ = await read_for(world, first_of(world, "axeos"), 0.3)
        lines, _ = await read_for(world, first_of(world, "antminer"), 0.3)
    assert int.from_bytes(framed[:4], "little") == 2 * len(framed[4:])
    announced = int(page.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert announced > len(page.partition(b"\r\n\r\n")[2])
    assert not lines.endswith(b"\0"), "bytes follow the NUL that should end the reply"


@pytest.mark.parametrize("family", FAMILIES)
async def test_huge_goes_on_and_on_as_fast_as_it_is_read(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.HUGE)) as world:
        received, closed = await read_for(world, world.machines[0], 5, limit=8 << 20)
    assert len(received) >= 8 << 20
    assert not closed


@pytest.mark.parametrize("family", FAMILIES)
async def test_deep_nests_deeper_than_a_stack(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.DEEP)) as world:
        received, _ = await read_for(world, world.machines[0], 1)
    assert body_of(family, received).count(b"[") == DEEP_LEVELS


@pytest.mark.parametrize("family", FAMILIES)
async def test_reset_closes_before_anything_is_said(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.RESET)) as world:
        with contextlib.suppress(ConnectionResetError):
            assert await read_for(world, world.machines[0], 1) == (b"", True)


@pytest.mark.parametrize("family", FAMILIES)
async def test_refuse_does_not_listen(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.REFUSE)) as world:
        machine = world.machines[0]
        assert await is_refused(machine.address, world.ports[SERVICE[family]])


async def test_stale_clock_says_it_is_1970() -> None:
    async with world_of(10, misbehave={Misbehaviour.STALE_CLOCK: 10}) as world:
        framed, _ = await read_for(world, first_of(world, "whatsminer_v3"), 0.3)
        lines, _ = await read_for(world, first_of(world, "antminer"), 0.3)
    assert json.loads(framed[4:])["when"] < 86_400
    assert json.loads(lines.rstrip(b"\0"))["STATUS"][0]["When"] < 86_400


async def test_impossible_claims_more_chips_than_were_built_in_and_less_than_no_hashrate() -> None:
    async with world_of(140, mixture={"antminer": 1.0}) as world:
        machine = next(m for m in world.machines if "new_api" in m.firmware.quirks)
        world.live(machine.id).how = Misbehaviour.IMPOSSIBLE
        world.live(machine.id).forget()
        reader, writer = await asyncio.open_connection(machine.address, world.ports["antminer"])
        writer.write(b'{"command":"stats","new_api":true}')
        stats = json.loads((await reader.read()).rstrip(b"\0"))["STATS"][0]
        writer.close()
    assert stats["chain"][0]["asic_num"] > machine.model.chips_per_board
    assert stats["chain"][1]["rate_real"] < 0
    assert stats["fan"] == [0, 0, 0, 0]


async def test_script_names_are_code_for_careless_pages() -> None:
    async with world_of(1, **misbehaving("axeos", Misbehaviour.SCRIPT_NAMES)) as world:
        received, _ = await read_for(world, world.machines[0], 0.5)
    document = json.loads(body_of("axeos", received))
    assert document["hostname"].startswith("<script>")
    assert document["stratumUser"].startswith("<script>")


async def test_no_identity_shows_neither_serial_nor_mac() -> None:
    async with world_of(1, **misbehaving("whatsminer_v3", Misbehaviour.NO_IDENTITY)) as world:
        received, _ = await read_for(world, world.machines[0], 0.3)
    message = json.loads(received[4:])["msg"]
    assert message["miner"]["miner-sn"] == ""
    assert message["network"]["mac"] == "00:00:00:00:00:00"


@pytest.mark.parametrize("family", ["whatsminer_v3", "axeos"])
async def test_who_floods_a_hung_machine_is_cut_off(family: str) -> None:
    async with world_of(1, **misbehaving(family, Misbehaviour.HANG)) as world:
        machine = world.machines[0]
        port = world.ports[SERVICE[family]]
        _reader, writer = await asyncio.open_connection(machine.address, port)
        with contextlib.suppress(ConnectionError):
            writer.write(REQUESTS[family] + b"x" * 100_000)
            await writer.drain()
            await asyncio.sleep(0.1)
        assert not world.live(machine.id).connections
        writer.close()


async def test_one_who_misbehaves_costs_itself_only() -> None:
    async with world_of(10, misbehave={Misbehaviour.HUGE: 1}) as world:
        others = [m for m in world.machines if world.live(m.id).how is None]
        hog = next(m for m in world.machines if world.live(m.id).how is not None)
        async with asyncio.TaskGroup() as group:
            flood = group.create_task(read_for(world, hog, 1.0, limit=64 << 20))
            replies = await asyncio.gather(*(read_for(world, m, 0.5) for m in others))
        assert all(received for received, _ in replies)
        assert len(flood.result()[0]) > 1 << 20
