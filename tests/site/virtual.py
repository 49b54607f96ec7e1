"""A small virtual world for the tests of site flows, as poll targets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from redoubt.model.ids import MachineId
from redoubt.site.poller import Target
from redoubt.world import FleetPlan, Misbehaviour, World, WorldPlan, start

PORTS = {"antminer": 24028, "antminer.web": 20080, "whatsminer_v3": 24433, "axeos": 20080}


@asynccontextmanager
async def virtual_world(
    network: str,
    machines: int = 9,
    misbehave: Mapping[Misbehaviour, int | str] | None = None,
    **mixture: float,
) -> AsyncIterator[World]:
    """Open a world on unprivileged ports; by default a third of each family."""
    fleet = FleetPlan(
        machines=machines,
        network=network,
        mixture=mixture or {"antminer": 1, "whatsminer_v3": 1, "axeos": 1},
    )
    plan = WorldPlan(fleet=fleet, misbehave=misbehave or {}, ports=PORTS, speed=0)
    async with start(plan) as world:
        yield world


def targets(world: World) -> list[Target]:
    return [
        Target(
            machine=MachineId(machine.id),
            address=machine.address,
            family=machine.family,
            ports=world.ports,
        )
        for machine in world.machines
    ]
