"""Worlds of a few machines for tests, and ways to talk to them over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redoubt.world import FleetPlan, VirtualMachine, World, WorldPlan, start
from redoubt.world.incidents import Script

ALL = {"antminer": 0.70, "whatsminer_v3": 0.22, "axeos": 0.08}
_numbers = itertools.count()


def own_network() -> str:
    """Return a loopback /24 that no other test uses, in this or another test process."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return f"127.{192 + worker % 32}.{next(_numbers) % 256}.0/24"


@asynccontextmanager
async def world_of(
    machines: int = 10,
    *,
    seed: int = 1,
    script: Script | None = None,
    clock: Callable[[], float] = time.time,
    **plan: Any,
) -> AsyncIterator[World]:
    """Open a world whose time stands still until `advance` is called."""
    mixture = plan.pop("mixture", ALL)
    changed = plan.pop("changed_passwords", 0.3)
    fleet = FleetPlan(
        machines=machines,
        seed=seed,
        network=own_network(),
        mixture=mixture,
        changed_passwords=changed,
    )
    if script is not None:
        plan["script"] = script
    async with start(WorldPlan(fleet=fleet, speed=0, **plan), clock=clock) as world:
        yield world


def first_of(world: World, family: str) -> VirtualMachine:
    return next(machine for machine in world.machines if machine.family == family)


def with_quirk(world: World, quirk: str) -> VirtualMachine:
    return next(machine for machine in world.machines if quirk in machine.firmware.quirks)


def without_quirk(world: World, quirk: str) -> VirtualMachine:
    return next(
        machine
        for machine in world.machines
        if machine.family == "antminer" and quirk not in machine.firmware.quirks
    )


async def ask_4028(world: World, machine: VirtualMachine, request: bytes | dict[str, Any]) -> bytes:
    """Return all that port 4028 answers to one request before it closes."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(machine.address, world.ports["antminer"])
        writer.write(body)
        reply = await reader.read()
        writer.close()
    return reply


async def stats_of(world: World, machine: VirtualMachine) -> dict[str, Any]:
    """Return the second part of `stats` in the old dialect, its missing comma put in."""
    reply = await ask_4028(world, machine, {"command": "stats"})
    text = reply.rstrip(b"\0").replace(b"}{", b"},{")
    second: dict[str, Any] = json.loads(text)["STATS"][1]
    return second


class Whatsminer:
    """One open connection to port 4433."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes | dict[str, Any]) -> dict[str, Any]:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.writer.write(len(body).to_bytes(4, "little") + body)
        async with asyncio.timeout(5):
            length = int.from_bytes(await self.reader.readexactly(4), "little")
            reply: dict[str, Any] = json.loads(await self.reader.readexactly(length))
        return reply


@asynccontextmanager
async def whatsminer(world: World, machine: VirtualMachine) -> AsyncIterator[Whatsminer]:
    port = world.ports["whatsminer_v3"]
    reader, writer = await asyncio.open_connection(machine.address, port)
    try:
        yield Whatsminer(reader, writer)
    finally:
        writer.close()


async def http_get(
    address: str, port: int, target: str, headers: tuple[str, ...] = ()
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and the raw rest of one GET, for which the server closes."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {address}", "Connection: close", *headers, "", ""]
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write("\r\n".join(lines).encode())
        raw = await reader.read()
        writer.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *others = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in others)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, rest


async def axeos_info(world: World, machine: VirtualMachine) -> dict[str, Any]:
    status, _, body = await http_get(machine.address, world.ports["axeos"], "/api/system/info")
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


async def is_refused(address: str, port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
