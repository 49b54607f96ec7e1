"""What a site and a center need to know of a world: its register, its ports, its passwords.

The register is what was *installed*: strangers, moves and hijacks are not in it, so that Redoubt
has something to find.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    OwnerId,
    PoolId,
    RackId,
    SiteId,
)
from redoubt.model.register import (
    Building,
    Machine,
    Owner,
    Pool,
    Rack,
    Register,
    Site,
    Slot,
)
from redoubt.world.fleet import LEVELS, OWNERS, POOLS, POSITIONS, VirtualMachine
from redoubt.world.models import SERVICES

POWER_MARGIN = 1.12
"""Machines may draw this much more than their nominal power before the register objects."""
ALLOWANCE_MARGIN = 1.05


def register_of(
    machines: Sequence[VirtualMachine], organisation: str = "demo", site: str = "virtual-bunker"
) -> Register:
    """Return the register that allows exactly these machines, at one virtual site."""
    site_id = SiteId(site)
    racks = {machine.rack: machine.hall for machine in machines}
    drawn_w = sum(machine.model.power_w for machine in machines)
    return Register(
        organisation=OrganisationId(organisation),
        version=1,
        owners=tuple(sorted((Owner(OwnerId(o.id), o.name) for o in OWNERS), key=lambda o: o.id)),
        pools=tuple(
            sorted(
                (Pool(PoolId(p.id), p.name, p.url, p.account) for p in POOLS),
                key=lambda pool: pool.id,
            )
        ),
        sites=(
            Site(
                id=site_id,
                name="Virtual bunker",
                country="IS",
                latitude=64.93,
                longitude=-18.61,
                allowance_w=round(drawn_w * ALLOWANCE_MARGIN, -3),
                virtual=True,
            ),
        ),
        buildings=tuple(
            Building(BuildingId(hall), site_id, f"Virtual hall {hall.rpartition('-')[2].upper()}")
            for hall in sorted(set(racks.values()))
        ),
        racks=tuple(
            Rack(
                id=RackId(name),
                building=BuildingId(racks[name]),
                name=name,
                levels=LEVELS,
                positions=POSITIONS,
            )
            for name in sorted(racks)
        ),
        machines=tuple(
            sorted((_registered(m, site_id) for m in machines), key=lambda machine: machine.id)
        ),
    )


def _registered(machine: VirtualMachine, site: SiteId) -> Machine:
    model = machine.model
    return Machine(
        id=MachineId(machine.id),
        site=site,
        make=model.make,
        model=model.reported,
        family=machine.family,
        rack=RackId(machine.rack),
        slot=Slot(*machine.slot),
        address=machine.address,
        serial=machine.serial,
        mac=machine.mac.lower(),
        hashboard_serials=machine.board_serials,
        owner=OwnerId(machine.owner),
        pool=PoolId(machine.pool.id),
        worker=machine.worker.partition(".")[2],
        hashrate_nominal_hs=model.hashrate_hs,
        power_limit_w=round(model.power_w * POWER_MARGIN),
    )


def map_of(
    machines: Sequence[VirtualMachine], ports: Mapping[str, int], network: str, seed: int
) -> dict[str, Any]:
    """Return the map of a world: where its machines are and which port each service has.

    `networks` are the smallest ranges that hold every machine: what a site should discover.
    """
    return {
        "virtual": True,
        "seed": seed,
        "network": network,
        "networks": networks_of(machines),
        "ports": dict(ports),
        "machines": [
            {
                "id": machine.id,
                "address": machine.address,
                "family": machine.family,
                "model": machine.model.reported,
                "rack": machine.rack,
                "slot": f"{machine.slot[0]}-{machine.slot[1]}",
                "serial": machine.serial,
                "mac": machine.mac.lower(),
                "owner": machine.owner,
                "pool": machine.pool.id,
                "worker": machine.worker,
                "hashrate_nominal_hs": machine.model.hashrate_hs,
                "factory_password": machine.has_factory_password,
            }
            for machine in machines
        ],
    }


def targets_of(
    machines: Sequence[VirtualMachine], ports: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return the machines as rows of a site's targets.toml: ports only where they are unusual."""
    unusual = {
        family: {name: ports[name] for name, port in services.items() if ports[name] != port}
        for family, services in SERVICES.items()
    }
    return [
        {"address": machine.address, "family": machine.family}
        | ({"ports": unusual[machine.family]} if unusual[machine.family] else {})
        for machine in machines
    ]


def networks_of(machines: Sequence[VirtualMachine], spare: int = 16) -> list[str]:
    """Return one network, as narrow as can be, that holds the machines and `spare` addresses."""
    addresses = [int(ipaddress.IPv4Address(machine.address)) for machine in machines]
    first, last = min(addresses), max(addresses) + spare
    prefix = 32 - (first ^ last).bit_length()
    return [str(ipaddress.IPv4Network((first, prefix), strict=False))]


def credentials_of(machines: Sequence[VirtualMachine]) -> list[dict[str, str]]:
    """Return the logins of the Antminers, as rows of a site's credentials.toml.

    The factory login for the family, and one row for each machine whose password was changed.
    """
    rows = [{"family": "antminer", "user": "root", "password": "root"}]
    rows += [
        {
            "family": "antminer",
            "range": f"{machine.address}/32",
            "user": machine.user,
            "password": machine.password,
        }
        for machine in machines
        if machine.family == "antminer" and not machine.has_factory_password
    ]
    return rows
