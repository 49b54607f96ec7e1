"""A scan finds every machine that answers, says what it could not tell, and keeps to its own."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from redoubt.model.errors import InputError
from redoubt.model.status import MachineState, MachineStatus
from redoubt.site.networks import addresses, check_own, parse_networks
from redoubt.site.scan import Progress, find_one, parse_ports, resolve, scan
from redoubt.world import Misbehaviour
from tests.site.virtual import PORTS, virtual_world


async def scan_all(
    network: str, ports: dict[str, int] | None = None, **options: object
) -> tuple[list[MachineStatus], Progress]:
    progress = Progress(addresses=0)

    def keep(now: Progress) -> None:
        nonlocal progress
        progress = now

    statuses = scan(
        parse_networks([network]),
        PORTS if ports is None else ports,
        on_progress=keep,
        timeouts_s=(0.5, 1.0),
        **options,  # type: ignore[arg-type]  # options of `scan`, as each test gives them
    )
    async with aclosing(statuses):
        return [status async for status in statuses], progress


@pytest.mark.parametrize("concurrency", [1, 16, 512])
async def test_every_machine_is_found_at_any_concurrency(concurrency: int) -> None:
    network = f"127.85.{100 + concurrency % 100}.0/26"
    async with virtual_world(network, machines=45) as world:
        found, progress = await scan_all(network, concurrency=concurrency, rate=100_000)
        families = {machine.address: machine.family for machine in world.machines}
    assert {status.address: status.family for status in found} == families
    assert len(found) == 45
    assert (progress.addresses, progress.done, progress.found) == (62, 62, 45)
    assert progress.refused == 17


def _burn() -> None:
    while True:
        pass


async def test_every_machine_is_found_while_the_cores_are_busy() -> None:
    spawn = multiprocessing.get_context("fork")
    burners = [spawn.Process(target=_burn, daemon=True) for _ in range(3)]
    for burner in burners:
        burner.start()
    try:
        async with virtual_world("127.85.253.0/25", machines=100):
            found, _ = await scan_all("127.85.253.0/25", rate=100_000)
    finally:
        for burner in burners:
            burner.kill()
    assert len([status for status in found if status.family]) == 100


async def test_a_scan_reads_the_machine_and_needs_no_password() -> None:
    async with virtual_world("127.85.1.0/28", machines=1, antminer=1):
        (status,), _ = await scan_all("127.85.1.0/28")
    assert status.state is MachineState.HASHING
    assert status.model is not None
    assert status.mac is None
    assert status.sources["mac"].why == "needs_auth"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (Misbehaviour.GARBAGE, "speaks no API I know"),
        (Misbehaviour.HANG, "says nothing it should"),
        (Misbehaviour.DRIP, "says nothing it should"),
        (Misbehaviour.TRUNCATE, "speaks no API I know"),
    ],
)
async def test_what_answers_and_is_not_understood_is_told(how: Misbehaviour, text: str) -> None:
    network = f"127.85.{20 + list(Misbehaviour).index(how)}.0/29"
    async with virtual_world(network, machines=1, misbehave={how: 1}, whatsminer_v3=1):
        (status,), progress = await scan_all(network)
    assert status.family is None
    assert status.state is MachineState.UNKNOWN
    assert any(text in note.text and "24433" in note.text for note in status.notes)
    assert progress.unknown == 1


async def test_another_speaker_of_the_same_port_is_unknown() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b'{"STATUS":[{"STATUS":"S"}],"VERSION":[{"API":"3.7","CGMiner":"4.11.1"}]}\0')
        writer.close()

    server = await asyncio.start_server(talk, "127.85.2.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        (status,), _ = await scan_all("127.85.2.1/32", PORTS | {"antminer": port})
    assert status.family is None
    assert [note.text for note in status.notes] == [f"answers on {port}, speaks no API I know"]


async def test_a_web_side_with_a_password_is_told_by_its_realm() -> None:
    async with virtual_world("127.85.3.0/29", machines=1, antminer=1):
        (status,), _ = await scan_all("127.85.3.0/29", PORTS | {"antminer": 1})
    assert status.family is None
    assert status.state in (MachineState.NEEDS_AUTH, MachineState.UNKNOWN)
    assert status.notes


async def test_one_address_is_found_out() -> None:
    async with virtual_world("127.85.4.0/29", machines=1, axeos=1) as world:
        status = await find_one(world.machines[0].address, PORTS)
        assert await find_one("127.85.4.6", PORTS) is None
    assert status is not None
    assert status.family == "axeos"


async def test_the_rate_is_kept() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await scan_all("127.85.5.0/29", rate=20)
    assert loop.time() - began >= 0.5


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["8.8.8.8"],
        ["10.0.0.0/7"],
        ["10.0.0.0/15"],
        ["10.0.0.0/16", "10.1.0.0/32"],
        ["192.0.2.0/24"],
        ["0.0.0.0/0"],
        ["2001:db8::/126"],
        ["fd00::/64"],
        ["miners.example"],
        ["10.0.0.0/33"],
    ],
)
def test_only_ones_own_networks_and_not_too_wide(texts: Sequence[str]) -> None:
    with pytest.raises(InputError):
        parse_networks(texts)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("10.0.0.0/22", 1022),
        ("10.0.0.7", 1),
        ("192.168.1.77/24", 254),
        ("100.64.0.0/16", 65534),
        ("169.254.0.0/30", 2),
        ("127.0.0.0/31", 2),
        ("fd00::/126", 3),
    ],
)
def test_networks_of_ones_own(text: str, count: int) -> None:
    assert len(list(addresses(parse_networks([text])))) == count


def test_an_address_named_twice_is_scanned_once() -> None:
    assert len(list(addresses(parse_networks(["10.0.0.0/30", "10.0.0.1"])))) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("toaster=80", "expected SERVICE=PORT"),
        ("=1", "expected SERVICE=PORT"),
        ("antminer", "1 to 65535 for antminer, got ''"),
        ("antminer=0", "1 to 65535 for antminer, got '0'"),
        ("antminer=70000", "1 to 65535 for antminer, got '70000'"),
    ],
)
def test_ports_that_cannot_be(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_ports([text])


async def test_names_and_addresses_of_one_machine() -> None:
    assert await resolve("10.0.0.7") == "10.0.0.7"
    assert await resolve("localhost") in ("127.0.0.1", "::1")
    for text in ("8.8.8.8", "8.8.8", "1234", "no-such-host.invalid"):
        with pytest.raises(InputError):
            await resolve(text)


def test_own_addresses() -> None:
    import ipaddress

    assert str(check_own(ipaddress.ip_address("10.1.2.3"))) == "10.1.2.3"
    with pytest.raises(InputError, match="not a private address"):
        check_own(ipaddress.ip_address("1.1.1.1"))
