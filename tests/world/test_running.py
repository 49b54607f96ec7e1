"""A running world: what incidents do to it, what it keeps true, and that it ends cleanly."""

from __future__ import annotations

import asyncio
import json

import pytest

from redoubt.model.errors import InputError
from redoubt.world import FleetPlan, Misbehaviour, WorldPlan, load_script, plan_fleet, start
from redoubt.world.incidents import Incident, Kind, Script
from redoubt.world.physics import Mode
from redoubt.world.running import check_files
from tests.world.talk import (
    axeos_info,
    first_of,
    is_refused,
    own_network,
    stats_of,
    whatsminer,
    world_of,
)


def happens(kind: Kind, at_s: float = 4, **fields: object) -> Script:
    incident = Incident(at_s=at_s, kind=kind, **fields)  # type: ignore[arg-type] # by kind
    return Script("one thing", (incident,))


async def test_the_same_seed_gives_the_same_mine_incidents_included() -> None:
    histories = []
    for _ in range(2):
        async with world_of(120, seed=7, script=load_script("demo")) as world:
            told: list[object] = []
            world.events.append(told.append)
            await world.advance(400)
            truths = [
                (truth.id, truth.mode, truth.hashrate_hs, truth.power_w, truth.accepted)
                for truth in world.truths().values()
            ]
            histories.append((told, truths))
    assert histories[0] == histories[1]
    assert len(histories[0][0]) > 15


async def test_the_demo_strikes_somebody_each_time() -> None:
    async with world_of(250, script=load_script("demo")) as world:
        told: list[dict[str, object]] = []
        world.events.append(told.append)
        await world.advance(700)
    assert all(event["struck"] for event in told)


async def test_time_passes_by_itself_when_it_has_a_speed() -> None:
    plan = WorldPlan(fleet=FleetPlan(machines=3, network=own_network()), speed=100.0)
    async with start(plan) as world:
        await asyncio.sleep(0.2)
        assert world.elapsed_s >= 8


async def test_a_lost_board_is_true_and_told() -> None:
    script = happens(Kind.BOARD_LOST, family="antminer", board=1)
    async with world_of(10, script=script) as world:
        before = world.truths()
        await world.advance(20)
        (victim,) = [t for t in world.truths().values() if t.faults.lost_boards]
        machine = next(m for m in world.machines if m.id == victim.id)
        stats = await stats_of(world, machine)
    assert victim.hashrate_hs < 0.7 * before[victim.id].hashrate_hs
    assert stats["chain_acn2"] == 0


async def test_lying_firmware_claims_what_is_not_true() -> None:
    script = happens(Kind.LYING_FIRMWARE, family="antminer", factor=1.3)
    async with world_of(10, script=script) as world:
        machine = next(m for m in world.machines if m.family == "antminer")
        world.strike(Incident(at_s=0, kind=Kind.LYING_FIRMWARE, machine=machine.id, factor=1.3))
        await world.advance(2)
        claimed = float((await stats_of(world, machine))["GHS 5s"]) * 1e9
        truth = world.truth(machine.id)
    assert truth.hashrate_hs < 1.06 * machine.model.hashrate_hs
    assert claimed > 1.2 * truth.hashrate_hs


async def test_a_hijacked_machine_works_for_a_stranger_while_the_register_stands() -> None:
    async with world_of(10) as world:
        machine = first_of(world, "axeos")
        world.strike(Incident(at_s=0, kind=Kind.HIJACKED, machine=machine.id))
        info = await axeos_info(world, machine)
        assert info["stratumUser"] == world.truth(machine.id).pool_user == "virtual-thief.1"
        assert info["stratumURL"] == "stranger.virtual.invalid"
        assert next(m for m in world.machines if m.id == machine.id).worker == machine.worker


async def test_a_stranger_listens_and_is_in_no_register() -> None:
    async with world_of(10, script=happens(Kind.STRANGER_APPEARS)) as world:
        await world.advance(30)
        truth = world.truth("stranger-1")
        assert truth.answers
        assert "stranger-1" not in {machine.id for machine in world.machines}
        assert not await is_refused(truth.address, world.ports["antminer"])


async def test_a_moved_machine_answers_at_its_new_address_only() -> None:
    script = happens(Kind.ADDRESS_CHANGED, family="whatsminer_v3")
    async with world_of(10, script=script) as world:
        await world.advance(6)
        (machine,) = [m for m in world.machines if world.truth(m.id).address != m.address]
        address = world.truth(machine.id).address
        assert await is_refused(machine.address, world.ports["whatsminer_v3"])
        port = world.ports["whatsminer_v3"]
        assert not await is_refused(address, port)
        reader, writer = await asyncio.open_connection(address, port)
        body = b'{"cmd":"get.device.info"}'
        writer.write(len(body).to_bytes(4, "little") + body)
        length = int.from_bytes(await reader.readexactly(4), "little")
        network = json.loads(await reader.readexactly(length))["msg"]["network"]
        writer.close()
    assert network["ip"] == address
    assert network["mac"] == machine.mac


async def test_a_tripped_rack_is_dark_until_power_is_back_and_then_boots() -> None:
    script = happens(Kind.POWER_TRIPPED, rack="A01", lasts_s=30)
    async with world_of(10, script=script) as world:
        rack = [machine for machine in world.machines if machine.rack == "A01"]
        port = world.ports["antminer"]
        await world.advance(8)
        assert all(world.truth(machine.id).mode is Mode.OFF for machine in rack)
        assert await is_refused(rack[0].address, port)
        await world.advance(30)
        assert world.truth(rack[0].id).mode is Mode.BOOTING
        await world.advance(200)
        assert all(world.truth(machine.id).mode is Mode.HASHING for machine in rack)
        assert not await is_refused(rack[0].address, port)
        assert world.truth(rack[0].id).uptime_s < 300


async def test_power_lost_drops_open_connections() -> None:
    async with world_of(10) as world:
        machine = first_of(world, "whatsminer_v3")
        async with whatsminer(world, machine) as connection:
            assert (await connection.ask({"cmd": "get.device.info"}))["code"] == 0
            world.strike(Incident(at_s=0, kind=Kind.PSU_FAILURE, machine=machine.id))
            await world.advance(4)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await connection.ask({"cmd": "get.device.info"})


async def test_a_hot_rack_heats_its_machines_and_recovers() -> None:
    script = happens(Kind.HOT_RACK, rack="A01", airflow=0.15, lasts_s=900)
    async with world_of(20, mixture={"antminer": 1.0}, script=script) as world:
        before = world.truths()
        await world.advance(600)
        during = world.truths()
        await world.advance(1500)
        later = world.truths()
    for machine_id, truth in during.items():
        assert truth.temp_inlet_c > before[machine_id].temp_inlet_c + 8
        assert truth.temp_chip_max_c > before[machine_id].temp_chip_max_c + 3
        assert later[machine_id].temp_inlet_c < truth.temp_inlet_c - 6


async def test_an_incident_that_lasts_is_told_when_it_is_over() -> None:
    script = happens(Kind.HEAT_WAVE, lasts_s=10)
    async with world_of(3, script=script) as world:
        told: list[dict[str, object]] = []
        world.events.append(told.append)
        await world.advance(20)
        assert world.warmth_c == 0
    assert [event["event"] for event in told] == ["incident", "over"]


async def test_a_reboot_is_seen_by_its_uptime() -> None:
    async with world_of(10) as world:
        machine = first_of(world, "axeos")
        before = world.truth(machine.id)
        world.strike(Incident(at_s=0, kind=Kind.REBOOTED, machine=machine.id))
        await world.advance(40)
        info = await axeos_info(world, machine)
    assert before.uptime_s > 3600
    assert info["uptimeSeconds"] < 60
    assert info["sharesAccepted"] < 30


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (happens(Kind.PSU_FAILURE, machine="Z99-1-1"), "no machine here: 'Z99-1-1'"),
        (happens(Kind.HOT_RACK, rack="Z99"), "no rack here: 'Z99'"),
    ],
)
async def test_a_script_for_another_mine_is_refused(script: Script, words: str) -> None:
    with pytest.raises(InputError, match=words):
        async with world_of(5, script=script):
            pass


@pytest.mark.parametrize(
    ("wish", "words"), [(9, "only 5 are left"), ("127.0.0.1", "no virtual machine '127.0.0.1'")]
)
async def test_misbehaviour_of_machines_that_are_not_there_is_refused(
    wish: int | str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        async with world_of(5, misbehave={Misbehaviour.HANG: wish}):
            pass


async def test_an_address_in_use_is_said_in_a_sentence() -> None:
    network = own_network()
    plan = WorldPlan(fleet=FleetPlan(machines=2, network=network), speed=0)
    async with start(plan) as world:
        twin = WorldPlan(fleet=plan.fleet, speed=0, ports=world.ports)
        with pytest.raises(InputError, match="choose another --network"):
            async with start(twin):
                pass


async def test_a_port_that_is_taken_gives_way_to_ten_thousand_more() -> None:
    network = own_network()
    first = str(network).replace(".0/24", ".1")
    squatter = await asyncio.start_server(lambda _r, _w: None, first, 4028)
    async with squatter:
        plan = WorldPlan(
            fleet=FleetPlan(machines=2, network=network, mixture={"antminer": 1.0}), speed=0
        )
        async with start(plan) as world:
            assert world.ports["antminer"] == 14028
            assert not await is_refused(first, 14028)


def test_too_few_files_are_said_before_anything_listens() -> None:
    machines = plan_fleet(FleetPlan(machines=1000))
    check_files(4096, machines)
    with pytest.raises(InputError, match="1000 virtual machines need 2828 open files"):
        check_files(1024, machines)


async def test_what_goes_wrong_inside_comes_out_bare() -> None:
    class OwnError(Exception):
        pass

    with pytest.raises(OwnError):
        async with world_of(2):
            raise OwnError


async def test_nothing_listens_when_it_is_over() -> None:
    async with world_of(10) as world:
        places = [(m.address, world) for m in world.machines]
        assert world.listeners == 17
    for address, closed in places:
        for service in ("antminer", "whatsminer_v3", "axeos"):
            assert await is_refused(address, closed.ports[service])
