"""A world that runs: machines on their sockets, time passing, incidents by script, truth kept.

    async with start(WorldPlan(machines=10)) as world:
        world.machines, world.ports         # what a site's configuration and register need
        world.truth(machine_id)             # what is so, whatever the machine says
        await world.advance(60)             # a minute passes at once

Time passes in ticks of `tick_s`, in slices so that no tick holds the loop up for long. With
`speed` 0 it passes only when `advance` is called: tests are then exact.
"""

from __future__ import annotations

import asyncio
import heapq
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec

from redoubt.edge.limits import SPARE_FILES, raise_file_limit
from redoubt.model.errors import InputError
from redoubt.world import physics
from redoubt.world.effects import Undo, strike
from redoubt.world.fleet import FleetPlan, VirtualMachine, plan_fleet
from redoubt.world.incidents import Incident, Script
from redoubt.world.listeners import Listeners, choose_ports
from redoubt.world.live import LiveMachine
from redoubt.world.misbehaviour import Misbehaviour
from redoubt.world.models import SERVICES
from redoubt.world.racks import RackAir

SLICES = 8
DAY_START_S = 10 * 3600.0
"""Worlds open at ten in the morning of their own day, when the air is neither cold nor hot."""
NO_SCRIPT = Script("nothing happens")

Event = dict[str, Any]


class WorldPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What world to open.

    misbehave: misbehaviour → how many machines (chosen by the seed) show it, or which (an address
    or id). ports: service → port, where the real one should not be used. speed: virtual seconds
    per second.
    """

    fleet: FleetPlan = FleetPlan()
    script: Script = NO_SCRIPT
    misbehave: Mapping[Misbehaviour, int | str] = {}
    ports: Mapping[str, int] = {}
    tick_s: float = 2.0
    speed: float = 1.0


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is so of one machine now: for tests to compare with what Redoubt believes."""

    id: str
    address: str
    mode: physics.Mode
    hashrate_hs: float
    power_w: float
    temp_chip_max_c: float
    temp_inlet_c: float
    accepted: int
    uptime_s: float
    faults: physics.Faults
    answers: bool
    pool_user: str


class World:
    """A running world; made by `start`. It is the stage that incidents act upon."""

    def __init__(self, plan: WorldPlan, clock: Callable[[], float]) -> None:
        self.plan = plan
        self.clock = clock
        self.elapsed_s = 0.0
        self.warmth_c = 0.0
        self.events: list[Callable[[Event], None]] = []
        self._rng = Random(f"world {plan.fleet.seed}")
        installed = plan_fleet(_with_spares(plan))
        self._live = {machine.id: self._make_live(machine) for machine in installed}
        self.racks = self._make_racks()
        self._settle_machines()
        self._spares = [live for live in self._live.values() if not live.machine.registered]
        self._on = {id_: live for id_, live in self._live.items() if live.machine.registered}
        self._due: list[tuple[float, int, Incident | Undo]] = []
        self._count = 0
        self._struck: set[str] = set()
        for incident in plan.script.incidents:
            self._schedule(incident.at_s, incident)
        self._check_script()
        self._misbehave(plan.misbehave)
        self._listeners = Listeners({})
        self._free = iter(_addresses_after(plan.fleet, len(installed)))

    # What others read.

    @property
    def machines(self) -> tuple[VirtualMachine, ...]:
        """The machines that belong into the register, as they were installed."""
        return tuple(live.machine for live in self._live.values() if live.machine.registered)

    @property
    def ports(self) -> Mapping[str, int]:
        """Which port each service has in this world."""
        return self._listeners.ports

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def machines_on(self) -> Sequence[LiveMachine]:
        return list(self._on.values())

    def live(self, machine_id: str) -> LiveMachine:
        """Return a running machine, for a test to break it by hand. Raises KeyError."""
        return self._live[machine_id]

    def truth(self, machine_id: str) -> Truth:
        """Return what is so of a machine. Raises KeyError where there is none of that id."""
        live = self._live[machine_id]
        state = live.state
        return Truth(
            id=machine_id,
            address=live.address,
            mode=state.mode,
            hashrate_hs=state.hashrate_hs,
            power_w=state.power_w,
            temp_chip_max_c=state.temp_chip_max_c,
            temp_inlet_c=live.inlet_c,
            accepted=state.accepted,
            uptime_s=state.uptime_s,
            faults=live.faults,
            answers=live.answers and machine_id in self._on,
            pool_user=live.pool_user,
        )

    def truths(self) -> dict[str, Truth]:
        """Return the truth of every machine that is switched on, strangers included."""
        return {machine_id: self.truth(machine_id) for machine_id in self._on}

    # What moves time.

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass at once, in whole ticks."""
        for _ in range(max(1, round(seconds / self.plan.tick_s))):
            for part in range(SLICES):
                self._step_slice(part)
            await self._end_tick()

    async def open(self) -> None:
        first = next(iter(self._live.values())).machine.address
        self._listeners = Listeners(choose_ports(first, self.plan.ports))
        await self._listeners.settle(self._on.values())

    def close(self) -> None:
        self._listeners.close(self._live.values())

    async def run(self) -> None:
        """Let time pass for as long as the world is open."""
        loop = asyncio.get_running_loop()
        tick_wall_s = self.plan.tick_s / self.plan.speed
        next_at = loop.time()
        while True:
            for part in range(SLICES):
                self._step_slice(part)
                next_at += tick_wall_s / SLICES
                await asyncio.sleep(max(0.0, next_at - loop.time()))
            await self._end_tick()
            next_at = max(next_at, loop.time() - tick_wall_s)

    def _step_slice(self, part: int) -> None:
        dt_s = self.plan.tick_s
        if part == 0:
            for rack in self.racks:
                rack.step(DAY_START_S + self.elapsed_s, self.warmth_c, dt_s)
        for rack in self.racks[part::SLICES]:
            for live in rack.members:
                if live.machine.id in self._on:
                    live.step(rack.air_at(live.machine.slot[0]), dt_s)

    async def _end_tick(self) -> None:
        self.elapsed_s += self.plan.tick_s
        while self._due and self._due[0][0] <= self.elapsed_s:
            _at, _order, what = heapq.heappop(self._due)
            if isinstance(what, Incident):
                self._happen(what)
            else:
                what()
        await self._listeners.settle(self._on.values())

    # What incidents act upon.

    def switch_on_stranger(self) -> LiveMachine | None:
        """Switch on the next machine outside the register; None where no spare is left."""
        if not self._spares:
            return None
        live = self._spares.pop(0)
        live.reboot()
        self._on[live.machine.id] = live
        return live

    def free_address(self) -> str | None:
        """Return an address of the network that no machine was installed at."""
        return next(self._free, None)

    def strike(self, incident: Incident) -> tuple[str, ...]:
        """Let an incident happen now; return the ids it struck."""
        return self._happen(incident)

    def _happen(self, incident: Incident) -> tuple[str, ...]:
        victims, undo = strike(self, incident, self._struck, self._rng)
        what = msgspec.to_builtins(incident)
        self._tell({"event": "incident", "kind": what["kind"], "struck": list(victims)})
        if incident.lasts_s is not None:

            def over() -> None:
                undo()
                self._tell({"event": "over", "kind": what["kind"], "struck": list(victims)})

            self._schedule(self.elapsed_s + incident.lasts_s, over)
        return victims

    def _schedule(self, at_s: float, what: Incident | Undo) -> None:
        self._count += 1
        heapq.heappush(self._due, (at_s, self._count, what))

    def _tell(self, event: Event) -> None:
        for listener in self.events:
            listener({**event, "elapsed_s": round(self.elapsed_s, 1)})

    # How it is made.

    def _make_live(self, machine: VirtualMachine) -> LiveMachine:
        rng = Random(f"machine {self.plan.fleet.seed} {machine.id}")
        facts = physics.make_facts(machine.model, rng)
        state = physics.cold_state(facts, 20.0)
        return LiveMachine(machine, facts, state, 20.0, rng, self.clock)

    def _make_racks(self) -> list[RackAir]:
        members: dict[str, list[LiveMachine]] = {}
        for live in self._live.values():
            members.setdefault(live.machine.rack, []).append(live)
        return [RackAir(name, lives, self._rng) for name, lives in members.items()]

    def _settle_machines(self) -> None:
        for rack in self.racks:
            rack.settle(DAY_START_S)
            for live in rack.members:
                live.inlet_c = rack.air_at(live.machine.slot[0])
                if live.machine.registered:
                    live.settle(live.inlet_c)

    def _check_script(self) -> None:
        """Raises InputError where the script names a machine or a rack that is not there."""
        racks = {rack.name for rack in self.racks}
        for incident in self.plan.script.incidents:
            if incident.machine is not None and incident.machine not in self._on:
                raise InputError(f"incident script names no machine here: {incident.machine!r}")
            if incident.rack is not None and incident.rack not in racks:
                raise InputError(f"incident script names no rack here: {incident.rack!r}")

    def _misbehave(self, wishes: Mapping[Misbehaviour, int | str]) -> None:
        for how, wish in wishes.items():
            for live in self._misbehavers(how, wish):
                live.how = how
                self._struck.add(live.machine.id)

    def _misbehavers(self, how: Misbehaviour, wish: int | str) -> list[LiveMachine]:
        if isinstance(wish, str):
            named = [live for live in self._on.values() if wish in (live.machine.id, live.address)]
            if not named:
                raise InputError(f"no virtual machine {wish!r} that could {how}")
            return named
        untouched = [live for id_, live in self._on.items() if id_ not in self._struck]
        if wish > len(untouched):
            raise InputError(f"{wish} machines should {how}, only {len(untouched)} are left")
        return self._rng.sample(untouched, wish)


@asynccontextmanager
async def start(plan: WorldPlan, *, clock: Callable[[], float] = time.time) -> AsyncIterator[World]:
    """Open a world, run it, and close it at the end.

    clock: Unix seconds, as the machines' own clocks tell them. Raises InputError where the plan
    cannot be: too few addresses, too few files, an address in use.
    """
    world = World(plan, clock)
    check_files(raise_file_limit(), world.machines)
    try:
        await world.open()
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(world.run()) if plan.speed > 0 else None
            try:
                yield world
            finally:
                if ticking:
                    ticking.cancel()
    except BaseExceptionGroup as failures:
        # The task group wraps whatever happens inside; whoever opened the world wants it bare.
        if len(failures.exceptions) > 1:
            raise
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    finally:
        world.close()


def check_files(limit: int, machines: Sequence[VirtualMachine]) -> None:
    """Raises InputError where so many machines, polled all at once, need more open files."""
    listeners = sum(len(SERVICES[machine.family]) for machine in machines)
    needed = listeners + len(machines) + SPARE_FILES
    if limit < needed:
        raise InputError(
            f"{len(machines)} virtual machines need {needed} open files, this process may open "
            f"{limit}: raise the hard limit (ulimit -Hn {needed}) or ask for fewer machines"
        )


def _with_spares(plan: WorldPlan) -> FleetPlan:
    spares = max(plan.fleet.spares, plan.script.strangers)
    return msgspec.structs.replace(plan.fleet, spares=spares)


def _addresses_after(fleet: FleetPlan, taken: int) -> list[str]:
    """Return up to 1,000 addresses behind those that the fleet takes."""
    hosts = ipaddress.IPv4Network(fleet.network)
    first = int(hosts.network_address) + 1 + taken
    last = int(hosts.broadcast_address)
    return [str(ipaddress.IPv4Address(at)) for at in range(first, min(last, first + 1000))]
