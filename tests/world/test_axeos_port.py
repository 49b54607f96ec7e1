"""AxeOS answers its REST calls from a handful of sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from array import array

import pytest
import uvloop

from redoubt.world.live import ESP32_BACKLOG, ESP32_SOCKETS
from tests.world.talk import axeos_info, http_get, world_of

BITAXES = {"axeos": 1.0}
GET = b"GET /api/system/asic HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_info_tells_what_is_so_in_gigahashes_and_watts() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        machine = world.machines[0]
        info = await axeos_info(world, machine)
        truth = world.truth(machine.id)
    assert info["hashRate"] * 1e9 == pytest.approx(truth.hashrate_hs, rel=0.06)
    assert info["power"] == pytest.approx(truth.power_w, rel=1e-6)
    assert info["temp"] == pytest.approx(truth.temp_chip_max_c, abs=0.07)
    assert info["macAddr"] == machine.mac
    assert info["hostname"] == machine.hostname
    assert info["stratumUser"] == machine.worker
    assert info["stratumURL"].endswith(".virtual.invalid")


async def test_power_is_a_c_float_printed_as_a_double() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        power = (await axeos_info(world, world.machines[0]))["power"]
    assert power == array("f", [power])[0]
    assert len(str(power)) > 10


async def test_asic_tells_what_it_is_built_of() -> None:
    async with world_of(60, mixture=BITAXES) as world:
        for machine in world.machines[::20]:
            port = world.ports["axeos"]
            _, _, body = await http_get(machine.address, port, "/api/system/asic")
            document = json.loads(body)
            assert document["ASICModel"] == machine.model.chip
            assert document["deviceModel"] == machine.model.reported
            assert document["asicCount"] == 1


async def test_other_pages_and_methods_are_refused() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        address, port = world.machines[0].address, world.ports["axeos"]
        missing, _, _ = await http_get(address, port, "/api/system/nothing")
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"PATCH /api/system/info HTTP/1.1\r\nConnection: close\r\n\r\n")
        patched = await reader.read()
        writer.close()
    assert missing == 404
    assert patched.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "head", [b"nonsense\r\n\r\n", b"GET /\r\n\r\n", b"\xff\xfe\xfd / x\r\n\r\n"]
)
async def test_what_is_no_request_is_called_so(head: bytes) -> None:
    async with world_of(1, mixture=BITAXES) as world:
        reader, writer = await asyncio.open_connection(
            world.machines[0].address, world.ports["axeos"]
        )
        writer.write(head)
        reply = await reader.read()
        writer.close()
    assert reply.startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_end_closes_the_connection() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        reader, writer = await asyncio.open_connection(
            world.machines[0].address, world.ports["axeos"]
        )
        writer.write(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 10_000)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_a_connection_is_kept_for_several_requests() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        reader, writer = await asyncio.open_connection(
            world.machines[0].address, world.ports["axeos"]
        )
        for _ in range(3):
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert json.loads(await reader.readexactly(length))["asicCount"] == 1
        writer.close()


def test_sockets_are_as_few_under_uvloop() -> None:
    uvloop.run(check_sockets())


async def test_beyond_its_sockets_connections_wait_and_beyond_that_are_reset() -> None:
    await check_sockets()


async def check_sockets() -> None:
    async with world_of(1, mixture=BITAXES) as world:
        machine = world.machines[0]
        live = world.live(machine.id)

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(machine.address, world.ports["axeos"])
            writer.write(GET)
            return reader, writer

        served = [await connect() for _ in range(ESP32_SOCKETS)]
        for reader, _ in served:
            async with asyncio.timeout(2):
                assert await reader.readuntil(b"\r\n\r\n")
        waiting = [await connect() for _ in range(ESP32_BACKLOG)]
        refused_reader, _ = await connect()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await refused_reader.readexactly(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await waiting[0][0].readexactly(1)
        served[0][1].close()
        async with asyncio.timeout(2):
            assert await waiting[0][0].readuntil(b"\r\n\r\n")
        for _, writer in [*served[1:], *waiting]:
            writer.close()
        for _ in range(50):
            if live.open_sockets == 0:
                break
            await asyncio.sleep(0.01)
        assert live.open_sockets == 0
        assert not live.waiting
