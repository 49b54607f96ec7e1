"""The poller reads what is so, asks no more than it must, and is never stopped by a machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from redoubt.edge.miner import HttpRefusal, Login, MinerClient
from redoubt.machines import Call, Endpoint, Failure, Reply
from redoubt.model.errors import RemoteError
from redoubt.model.ids import MachineId
from redoubt.model.status import MachineState, PowerKind, Why
from redoubt.site.credentials import Credentials
from redoubt.site.poller import Poll, Poller, Target
from redoubt.world import Misbehaviour
from tests.machines.replies import antminer
from tests.site.virtual import targets, virtual_world

EVIL: list[Misbehaviour] = [
    how
    for how in Misbehaviour
    if how not in (Misbehaviour.REFUSE, Misbehaviour.NO_IDENTITY, Misbehaviour.SLOW)
]


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **time_: float) -> None:
        self.at += timedelta(**time_)


class ScriptedClient(MinerClient):
    """Answers from documents, or raises what stands in their place; keeps what it was asked."""

    def __init__(self, now: Clock) -> None:
        super().__init__(now=now)
        self.answers: dict[str, object] = dict(antminer())
        self.asked: list[str] = []
        self.logins: list[Login | None] = []
        self._clock = now

    async def ask(self, call: Call, endpoint: Endpoint, login: Login | None = None) -> Reply:
        self.asked.append(call.name)
        self.logins.append(login)
        answer = self.answers[call.name]
        if isinstance(answer, RemoteError):
            raise answer
        return Reply(msgspec.json.encode(answer), self._clock())

    def uptime(self, seconds: int) -> None:
        self.answers["summary"] = {"SUMMARY": [{"GHS 5s": 104000.0, "Elapsed": seconds}]}

    def take(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


STEADY = ["stats", "summary", "pools"]
IDENTITY = ["version", "system_info"]
TARGET = Target(machine=MachineId("m1"), address="10.0.0.7", family="antminer")


def scripted() -> tuple[Clock, ScriptedClient, Poller]:
    clock = Clock()
    client = ScriptedClient(clock)
    return (
        clock,
        client,
        Poller(Credentials.single(Login("root", "root")), now=clock, client=client),
    )


async def test_identity_is_asked_at_discovery_and_then_no_more() -> None:
    clock, client, poller = scripted()
    first = await poller.poll(TARGET)
    assert client.take() == STEADY + IDENTITY
    clock.pass_(seconds=15)
    second = await poller.poll(TARGET)
    assert client.take() == STEADY
    assert second.status.serial == first.status.serial == "SMTTXYZ"
    assert second.status.sources["serial"].at == first.status.at
    assert second.status.sources["hashrate_hs"].at == clock.at


async def test_identity_is_asked_again_after_a_reboot() -> None:
    clock, client, poller = scripted()
    client.uptime(5000)
    await poller.poll(TARGET)
    client.take()
    client.uptime(4999)
    await poller.poll(TARGET)
    assert client.take() == STEADY
    client.uptime(20)
    clock.pass_(seconds=15)
    await poller.poll(TARGET)
    assert client.take() == STEADY + IDENTITY


async def test_identity_is_asked_again_hourly_and_at_a_new_address() -> None:
    clock, client, poller = scripted()
    await poller.poll(TARGET)
    client.take()
    clock.pass_(minutes=59)
    await poller.poll(TARGET)
    assert client.take() == STEADY
    clock.pass_(minutes=2)
    await poller.poll(TARGET)
    assert client.take() == STEADY + IDENTITY
    await poller.poll(msgspec.structs.replace(TARGET, address="10.0.0.8"))
    assert client.take() == STEADY + IDENTITY


async def test_a_machine_that_falls_silent_is_offline_and_known_still() -> None:
    clock, client, poller = scripted()
    await poller.poll(TARGET)
    for name in STEADY:
        client.answers[name] = RemoteError("no answer")
    clock.pass_(seconds=15)
    client.take()
    poll = await poller.poll(TARGET)
    assert client.take() == ["stats"], "a silent service is asked once"
    assert poll.status.state is MachineState.OFFLINE
    assert poll.status.hashrate_hs is None
    assert poll.status.serial == "SMTTXYZ"
    assert poll.status.at == clock.at
    assert poll.status.sources["hashrate_hs"].why is Why.NO_REPLY


async def test_a_call_that_is_refused_over_http_silences_no_other() -> None:
    _clock, client, poller = scripted()
    client.answers["stats"] = HttpRefusal("answers HTTP 404")
    poll = await poller.poll(TARGET)
    assert client.take() == STEADY + IDENTITY
    assert poll.status.state is MachineState.HASHING


async def test_an_identity_call_that_once_fails_keeps_what_was_said_before() -> None:
    clock, client, poller = scripted()
    await poller.poll(TARGET)
    client.answers["system_info"] = RemoteError("no answer")
    clock.pass_(hours=2)
    poll = await poller.poll(TARGET)
    assert poll.status.serial == "SMTTXYZ"
    assert isinstance(poll.replies["system_info"], Reply)


async def test_an_identity_that_was_never_told_is_asked_again_soon() -> None:
    clock, client, poller = scripted()
    client.answers["system_info"] = RemoteError("no answer")
    poll = await poller.poll(TARGET)
    assert isinstance(poll.replies["system_info"], Failure)
    client.take()
    clock.pass_(minutes=6)
    await poller.poll(TARGET)
    assert client.take() == STEADY + IDENTITY


async def test_replies_that_just_came_are_not_asked_again() -> None:
    clock, client, poller = scripted()
    version = Reply(msgspec.json.encode(antminer()["version"]), clock.at)
    await poller.poll(TARGET, have={"version": version})
    assert client.take() == [*STEADY, "system_info"]


async def test_a_login_goes_to_families_that_need_one_only() -> None:
    _clock, client, poller = scripted()
    await poller.poll(TARGET)
    assert set(client.logins) == {Login("root", "root")}
    client.logins.clear()
    client.answers |= dict.fromkeys(
        ("get_device_info", "get_miner_status_summary"), RemoteError("x")
    )
    await poller.poll(Target(machine=MachineId("w"), address="10.0.0.9", family="whatsminer_v3"))
    assert client.logins == [None]


async def test_two_polls_of_one_machine_wait_for_each_other() -> None:
    _clock, client, poller = scripted()
    await asyncio.gather(poller.poll(TARGET), poller.poll(TARGET))
    assert client.take() == STEADY + IDENTITY + STEADY


@pytest.mark.parametrize(("password", "taken"), [("root", True), ("other", False), (None, None)])
async def test_whether_the_factory_password_is_taken(
    password: str | None, taken: bool | None
) -> None:
    clock = Clock()
    client = ScriptedClient(clock)
    login = Credentials() if password is None else Credentials.single(Login("root", password))
    if password is None:
        client.answers["system_info"] = RemoteError("asks for a password")
    poll = await Poller(login, now=clock, client=client).poll(TARGET)
    assert poll.factory_password is taken


async def test_every_family_is_read_as_it_is() -> None:
    async with virtual_world("127.84.1.0/24", machines=12) as world:
        await world.advance(60)
        poller = Poller(Credentials.single(Login("root", "root")))
        for machine, target in zip(world.machines, targets(world), strict=True):
            status = (await poller.poll(target)).status
            truth = world.truth(machine.id)
            assert status.state is MachineState.HASHING
            assert status.hashrate_hs == pytest.approx(truth.hashrate_hs, rel=0.1)
            assert status.power_w == pytest.approx(truth.power_w, rel=0.15)
            assert status.temp_chip_max_c == pytest.approx(truth.temp_chip_max_c, abs=8)
            assert status.uptime_s == pytest.approx(truth.uptime_s, abs=3)
            assert len(status.fans) == machine.model.fans
            assert len(status.boards) == machine.model.boards
            assert status.pools[0].user == truth.pool_user
            assert status.power_kind in (PowerKind.CLAIMED, PowerKind.ESTIMATED)
            if machine.family != "antminer" or machine.has_factory_password:
                assert status.mac is not None
                assert status.mac.lower() == machine.mac.lower()
                assert status.serial == machine.serial


@pytest.mark.parametrize("how", EVIL)
async def test_a_misbehaving_machine_costs_itself_only(how: Misbehaviour) -> None:
    network = f"127.84.{10 + EVIL.index(how)}.0/24"
    async with virtual_world(network, machines=6, misbehave={how: 2}) as world:
        quick = QuickClient()
        began = time.monotonic()
        polls = await sweep(Poller(client=quick), targets(world))
        assert time.monotonic() - began < 8
        assert len(polls) == 6
        hashing = [poll for poll in polls if poll.status.state is MachineState.HASHING]
        assert len(hashing) >= 4
        for poll in polls:
            assert len(msgspec.json.encode(poll.status)) < 100_000


class QuickClient(MinerClient):
    """Shortens every deadline, so that a test of hanging machines is short too."""

    async def ask(self, call: Call, endpoint: Endpoint, login: Login | None = None) -> Reply:
        bounds = msgspec.structs.replace(call.bounds, timeout_s=0.5)
        return await super().ask(msgspec.structs.replace(call, bounds=bounds), endpoint, login)


async def sweep(poller: Poller, wanted: Sequence[Target], concurrency: int = 64) -> list[Poll]:
    async with aclosing(poller.sweep(wanted, concurrency)) as polls:
        return [poll async for poll in polls]


async def test_a_sweep_reads_each_machine_once_whatever_the_concurrency() -> None:
    async with virtual_world("127.84.40.0/24", machines=24) as world:
        wanted = targets(world)
        for concurrency in (1, 7, 200):
            polls = await sweep(Poller(), wanted, concurrency)
            assert sorted(poll.target.machine for poll in polls) == sorted(
                target.machine for target in wanted
            )
            assert {poll.status.state for poll in polls} == {MachineState.HASHING}


async def test_a_sweep_may_be_left_early() -> None:
    async with (
        virtual_world("127.84.41.0/24", machines=12) as world,
        aclosing(Poller().sweep(targets(world), 4)) as polls,
    ):
        async for poll in polls:
            assert poll.status.state is MachineState.HASHING
            break
