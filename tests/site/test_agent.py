"""The whole agent over real sockets: virtual machines on one side, a center by TLS on the other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from redoubt.edge.batches import BatchKind
from redoubt.edge.spool import Draft
from redoubt.model.errors import RemoteError, ServiceError
from redoubt.model.finding import FindingChange
from redoubt.model.ids import MachineId
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState
from redoubt.site.agent import Agent
from redoubt.site.channel_flow import listen
from redoubt.site.config import SiteConfig, load_config, save_config
from redoubt.site.deliver_flow import deliver
from redoubt.site.discover_flow import discover
from redoubt.site.enrol import enrol
from redoubt.site.folder import SiteFolder
from redoubt.site.judge_flow import judge
from redoubt.site.poll_flow import sweep
from redoubt.site.run import open_agent, run_agent
from redoubt.world import FleetPlan, Misbehaviour, World, WorldPlan, start
from tests.networks import own_network
from tests.site.center_end import NOW, CenterEnd, allowed, center_end, utc_now

NETWORK = own_network(91)
MACHINES = 6
FAST = 1.0


@asynccontextmanager
async def site_of(
    tmp_path: Path, **changes: object
) -> AsyncIterator[tuple[SiteFolder, CenterEnd, World]]:
    """A small world, a center that knows its machines, and an enrolled folder."""
    plan = WorldPlan(fleet=FleetPlan(machines=MACHINES, network=NETWORK, seed=7))
    async with start(plan) as world, center_end(tmp_path / "center") as center:
        folder = SiteFolder(tmp_path / "site")
        config = await enrol(folder, center.web_url, center.token)
        configure(folder, config, ports=dict(world.ports), cadence_s=FAST, **changes)
        center.allow(*map(allowed, world.machines))
        yield folder, center, world


def configure(folder: SiteFolder, config: SiteConfig, **changes: object) -> None:
    save_config(msgspec.structs.replace(config, **changes), folder)


def record_samples(agent: Agent) -> list[Sample]:
    """Return the list into which everything that is polled goes, on its way to the outbox."""
    polled: list[Sample] = []
    add = agent.outbox.add_sample

    def add_and_remember(sample: Sample) -> None:
        polled.append(sample)
        add(sample)

    agent.outbox.add_sample = add_and_remember  # type: ignore[method-assign] # a tap on a pipe
    return polled


async def run_for(agent: Agent, seconds: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await run_agent(agent, stop)


async def listen_while_down(agent: Agent, center: CenterEnd) -> None:
    """Let the agent have its register, and nothing else of the center."""
    center.is_down = False
    await listen(agent)
    center.is_down = True


async def drain(agent: Agent) -> None:
    while await deliver(agent):
        pass


def key(sample: Sample) -> tuple[str, datetime]:
    """What tells a row from every other; times travel in milliseconds."""
    at = sample.at
    return (sample.machine, at.replace(microsecond=at.microsecond // 1000 * 1000))


def rows(center: CenterEnd) -> Counter[tuple[str, datetime]]:
    return Counter((machine, at) for machine, at, _ in center.sample_rows())


async def test_every_machine_of_the_register_is_read_and_arrives(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, world):
        async with open_agent(folder) as agent:
            await run_for(agent, 3)
        names = {machine.id for machine in world.machines}
        states = {machine: state for machine, _, state in center.sample_rows()}
    assert states.keys() == names
    assert set(states.values()) <= {"hashing", "degraded"}
    details = {detail.machine: detail for detail in center.details()}
    assert details.keys() == names
    assert all(detail.replies and detail.status.make for detail in details.values())


async def test_a_link_that_is_cut_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, _):
        async with open_agent(folder) as agent:
            polled = record_samples(agent)
            loop = asyncio.get_running_loop()
            loop.call_later(1.0, setattr, center, "is_down", True)
            loop.call_later(4.5, setattr, center, "is_down", False)
            loop.call_later(4.5, setattr, center, "loses_answers", True)
            await run_for(agent, 6.0)
            center.loses_answers = False
        async with open_agent(folder) as agent:
            await drain(agent)
        arrived = rows(center)
    assert len(polled) >= 4 * MACHINES
    assert arrived == Counter(map(key, polled))
    assert set(arrived.values()) == {1}


async def test_stopping_is_quick_and_keeps_what_was_read(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, _):
        center.is_down = True
        async with open_agent(folder) as agent:
            await listen_while_down(agent, center)
            polled = record_samples(agent)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(run_agent(agent, stop))
                await asyncio.sleep(2.2)
                began = time.monotonic()
                stop.set()
                await running
            assert time.monotonic() - began < 2
        center.is_down = False
        async with open_agent(folder) as agent:
            await drain(agent)
        assert rows(center) == Counter(map(key, polled))


async def test_a_restart_repeats_no_finding(tmp_path: Path) -> None:
    """A finding's event and the memory of it reach the disk together."""
    changes = {"networks": (NETWORK,), "scan_rate": 5000}
    async with site_of(tmp_path, **changes) as (folder, center, world):
        center.allow(allowed(world.machines[0]))
        for minutes in (0, 10, 20):
            async with open_agent(folder) as agent:
                await look_around(agent, utc_now() + timedelta(minutes=minutes))
                await drain(agent)
    opened = Counter(
        event.finding.key for event in center.events() if event.change is FindingChange.OPENED
    )
    strangers = [subject for rule, subject in opened if rule == "unknown_machine"]
    assert len(strangers) == MACHINES - 1
    assert set(opened.values()) == {1}


async def look_around(agent: Agent, now: datetime) -> None:
    """Read everything and let the rules look for two minutes of their time."""
    await listen(agent)
    await discover(agent)
    for seconds in (0, 60, 120):
        await sweep(agent, agent.roster.targets())
        judge(agent, {}, now + timedelta(seconds=seconds), remember=False)
    load = agent.outbox.take(now)
    await agent.spool.append(load.drafts, load.notes)


async def test_machines_that_nobody_registered_are_found_by_looking(tmp_path: Path) -> None:
    async with site_of(tmp_path, networks=(NETWORK,), scan_rate=5000) as (folder, center, world):
        center.allow(allowed(world.machines[0]))
        async with open_agent(folder) as agent:
            await listen(agent)
            new = await discover(agent)
            await sweep(agent, agent.roster.targets())
            ids = {target.machine for target in agent.roster.targets()}
            assert await discover(agent) == 0
    assert new == MACHINES - 1
    assert len(ids) == MACHINES
    assert world.machines[0].id in ids


async def test_a_stranger_beyond_the_bound_is_forgotten_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redoubt.reconcile.memory.MAX_STRANGERS", 0)
    async with site_of(tmp_path, networks=(NETWORK,), scan_rate=5000) as (folder, center, world):
        center.allow(allowed(world.machines[0]))
        async with open_agent(folder) as agent:
            await listen(agent)
            await discover(agent)
            await sweep(agent, agent.roster.targets())
            statuses = {
                target.machine: agent.memory.last_status(target.machine)
                for target in agent.roster.targets()
            }
            agent.forget_the_gone(utc_now())
            fresh = [
                machine
                for machine, status in statuses.items()
                if status and agent.details.detail(machine, None, status, {}) is not None
            ]
            (kept,) = agent.memory.snapshot().machines
    assert kept.machine == world.machines[0].id
    assert sorted(fresh) == sorted(set(statuses) - {kept.machine})


async def test_a_target_without_a_family_is_found_out(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, _, world):
        address = world.machines[0].address
        folder.targets.write_text(f'[[target]]\naddress = "{address}"\n')
        async with open_agent(folder) as agent:
            assert agent.roster.targets() == []
            await discover(agent)
            (target,) = agent.roster.targets()
    assert (target.address, target.family) == (address, world.machines[0].family)


async def test_a_machine_that_hangs_costs_itself_only(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, world):
        world.live(world.machines[0].id).how = Misbehaviour.HANG
        async with open_agent(folder) as agent:
            await run_for(agent, 3)
    counts = Counter(machine for machine, _, _ in center.sample_rows())
    assert min(counts[machine.id] for machine in world.machines[1:]) >= 2


async def test_a_batch_that_the_center_cannot_read_does_not_block_the_others(
    tmp_path: Path,
) -> None:
    async with site_of(tmp_path) as (folder, center, _), open_agent(folder) as agent:
        drafts = [Draft(BatchKind.FINDINGS, 1, body, NOW) for body in (b"a", b"poison", b"b")]
        await agent.spool.append(drafts)
        center.unreadable = {b"poison"}
        await drain(agent)
        assert [batch.body for batch in center.received.values()] == [b"a", b"b"]
        state = await agent.spool.state()
        assert (state.batches, state.aside) == (0, 1)


async def test_a_center_that_can_read_nothing_costs_nothing(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, _), open_agent(folder) as agent:
        drafts = [Draft(BatchKind.FINDINGS, 1, body, NOW) for body in (b"a", b"b")]
        await agent.spool.append(drafts)
        center.unreadable = {b"a", b"b"}
        with pytest.raises(RemoteError):
            await deliver(agent)
        assert (await agent.spool.state()).batches == 2


async def test_a_conflict_arrives_under_another_key_and_is_remembered(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, _), open_agent(folder) as agent:
        await agent.spool.append([Draft(BatchKind.FINDINGS, 1, b"ours", NOW)])
        (batch,) = await agent.spool.read_group()
        center.conflicting = {(batch.epoch, batch.seq)}
        with pytest.raises(RemoteError, match="other batches under 1 of our keys"):
            await deliver(agent)
        await drain(agent)
        assert [batch.body for batch in center.received.values()] == [b"ours"]
        assert batch.epoch not in {epoch for epoch, _ in center.received}
        await agent.look_at_disk()
        spool = agent.view().spool
    assert spool is not None
    assert spool.aside == 1
    assert spool.aside_at is not None


async def test_a_disk_that_takes_nothing_stops_no_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_of(tmp_path) as (folder, center, _), open_agent(folder) as agent:
        polled = record_samples(agent)
        append, broken = agent.spool.append, True

        async def append_or_fail(*arguments: object) -> object:
            if broken:
                raise ServiceError("the spool cannot be used: disk I/O error")
            return await append(*arguments)  # type: ignore[arg-type] # passed on as they came

        monkeypatch.setattr(agent.spool, "append", append_or_fail)

        def mend() -> None:
            nonlocal broken
            broken = False

        asyncio.get_running_loop().call_later(2.5, mend)
        await run_for(agent, 4.5)
        await drain(agent)
        assert len(polled) >= 3 * MACHINES
        assert rows(center) == Counter(map(key, polled))


async def test_a_silent_machine_is_a_sample_too(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, world), open_agent(folder) as agent:
        gone = msgspec.structs.replace(
            allowed(world.machines[0]), id=MachineId("gone"), address="127.93.0.1"
        )
        center.allow(allowed(world.machines[1]), gone)
        await listen(agent)
        polled = record_samples(agent)
        await sweep(agent, agent.roster.targets())
    states = {sample.machine: sample.state for sample in polled}
    assert states == {world.machines[1].id: MachineState.HASHING, "gone": MachineState.OFFLINE}
    (silent,) = [sample for sample in polled if sample.machine == "gone"]
    assert silent.hashrate_hs is None


async def test_the_configuration_is_what_init_wrote(tmp_path: Path) -> None:
    async with site_of(tmp_path) as (folder, center, _):
        config = load_config(folder)
        assert config.agent_url == center.agent_url
        assert config.cadence_s == FAST
