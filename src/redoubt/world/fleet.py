"""Who stands where: a fleet planned from a seed, before any socket is opened.

The same plan always gives the same machines: models, serials, MACs, racks, addresses, passwords.
Racks hold one model each, as in most mines. Names and pools say that they are virtual, and pools
lie under `.invalid` (RFC 2606), so that nothing here could ever be mistaken for a real account.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator, Mapping

import msgspec

from redoubt.model.errors import InputError
from redoubt.world.models import SERVICES, Firmware, Model, models_of

LEVELS = 5
POSITIONS = 4
RACKS_PER_HALL = 16
MAX_MACHINES = 20_000
MIXTURE = {"antminer": 0.70, "whatsminer_v3": 0.22, "axeos": 0.08}

FACTORY_PASSWORD = "root"  # noqa: S105 - every stock Antminer leaves the factory with it

_SERIAL_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class VirtualPool(msgspec.Struct, frozen=True):
    id: str
    name: str
    url: str
    account: str


class VirtualOwner(msgspec.Struct, frozen=True):
    id: str
    name: str


POOLS = (
    VirtualPool(
        "virtual-pool-a",
        "Virtual pool A",
        "stratum+tcp://pool.virtual.invalid:3333",
        "virtual-north",
    ),
    VirtualPool(
        "virtual-pool-b",
        "Virtual pool B",
        "stratum+tcp://pool-b.virtual.invalid:3333",
        "virtual-south",
    ),
)
BACKUP_POOL_URL = "stratum+tcp://backup.virtual.invalid:3333"
OWNERS = (
    VirtualOwner("virtual-owner-north", "Virtual owner North"),
    VirtualOwner("virtual-owner-south", "Virtual owner South"),
    VirtualOwner("virtual-owner-house", "Virtual house account"),
)


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What fleet to plan.

    network: a loopback network; machines take its host addresses in order.
    mixture: family → share of the fleet; shares are made to add up to one.
    changed_passwords: the share of Antminers whose factory password was changed.
    spares: machines that stand outside the register and are switched on only by an incident.
    """

    machines: int = 1000
    seed: int = 1
    network: str = "127.20.0.0/16"
    mixture: Mapping[str, float] = msgspec.field(default_factory=lambda: dict(MIXTURE))
    changed_passwords: float = 0.3
    spares: int = 0


class VirtualMachine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as it was installed: identity, place, owner, and what it should do.

    Serials and MACs are None where the family shows none. `slot` is (level, position) from 1.
    """

    id: str
    address: str
    model: Model
    firmware: Firmware
    mac: str
    serial: str | None
    psu_serial: str
    board_serials: tuple[str, ...]
    hostname: str
    hall: str
    rack: str
    slot: tuple[int, int]
    owner: str
    pool: VirtualPool
    worker: str
    user: str
    password: str
    registered: bool = True

    @property
    def family(self) -> str:
        return self.model.family

    @property
    def has_factory_password(self) -> bool:
        return self.password == FACTORY_PASSWORD


def plan_fleet(plan: FleetPlan) -> tuple[VirtualMachine, ...]:
    """Return the fleet of a plan: its machines by address, then its spares.

    Raises InputError where the network is not loopback or holds too few addresses.
    """
    if not 1 <= plan.machines <= MAX_MACHINES:
        raise InputError(f"expected 1 to {MAX_MACHINES} machines, got {plan.machines}")
    addresses = _addresses(plan.network, plan.machines + plan.spares)
    rng = random.Random(f"fleet {plan.seed}")
    fleet: list[VirtualMachine] = []
    rack_number = 0
    for family, count in split_fleet(plan.machines, plan.mixture).items():
        models = list(models_of(family))
        rng.shuffle(models)
        for start in range(0, count, LEVELS * POSITIONS):
            model = models[(start // (LEVELS * POSITIONS)) % len(models)]
            hall, rack = _rack_name(rack_number)
            rack_number += 1
            for place in range(min(LEVELS * POSITIONS, count - start)):
                fleet.append(_install(model, hall, rack, place, next(addresses), plan, rng))
    for number in range(plan.spares):
        fleet.append(_stranger(fleet, number, next(addresses), plan, rng))
    return tuple(fleet)


def split_fleet(machines: int, mixture: Mapping[str, float]) -> dict[str, int]:
    """Return how many machines of each family make up a fleet, by largest remainder.

    Raises InputError where the mixture names an unknown family or has no positive share.
    """
    unknown = sorted(set(mixture) - set(SERVICES))
    if unknown:
        raise InputError(f"expected families of {', '.join(SERVICES)}, got {unknown[0]!r}")
    total = sum(mixture.values())
    if total <= 0 or min(mixture.values()) < 0:
        raise InputError("expected a mixture with positive shares")
    exact = {family: machines * share / total for family, share in mixture.items()}
    counts = {family: int(share) for family, share in exact.items()}
    by_remainder = sorted(exact, key=lambda family: counts[family] - exact[family])
    for family in by_remainder[: machines - sum(counts.values())]:
        counts[family] += 1
    return counts


def _addresses(network: str, needed: int) -> Iterator[str]:
    try:
        parsed = ipaddress.IPv4Network(network)
    except ValueError as exc:
        raise InputError(f"expected a network like 127.20.0.0/16, got {network!r}: {exc}") from exc
    if not parsed.is_loopback:
        raise InputError(f"virtual machines live in 127.0.0.0/8 only, got {network!r}")
    room = max(parsed.num_addresses - 2, 0)
    if room < needed:
        raise InputError(f"network {network} holds {room} machines, {needed} are wanted")
    return (str(host) for host in parsed.hosts())


def _rack_name(number: int) -> tuple[str, str]:
    hall, rack = divmod(number, RACKS_PER_HALL)
    letter = chr(ord("A") + hall) if hall < 26 else f"H{hall}-"
    return f"hall-{letter.lower().rstrip('-')}", f"{letter}{rack + 1:02}"


def _install(
    model: Model,
    hall: str,
    rack: str,
    place: int,
    address: str,
    plan: FleetPlan,
    rng: random.Random,
) -> VirtualMachine:
    level, position = divmod(place, POSITIONS)
    slot = (level + 1, position + 1)
    machine_id = f"{rack}-{slot[0]}-{slot[1]}"
    north = rng.random() < 0.75
    pool = POOLS[0] if north else POOLS[1]
    changed = model.family == "antminer" and rng.random() < plan.changed_passwords
    axeos = model.family == "axeos"
    return VirtualMachine(
        id=machine_id,
        address=address,
        model=model,
        firmware=rng.choice(model.firmware),
        mac=_mac(rng),
        serial=None if axeos else _serial("VRT", 14, rng),
        psu_serial="" if axeos else _serial("VPS", 10, rng),
        board_serials=() if axeos else tuple(_serial("VHB", 12, rng) for _ in range(model.boards)),
        hostname=f"virtual-{machine_id.lower()}" if axeos else _factory_hostname(model),
        hall=hall,
        rack=rack,
        slot=slot,
        owner=(rng.choice(OWNERS[::2]) if north else OWNERS[1]).id,
        pool=pool,
        worker=f"{pool.account}.{machine_id}",
        user="root",
        password=_serial("", 12, rng) if changed else FACTORY_PASSWORD,
    )


def _stranger(
    fleet: list[VirtualMachine], number: int, address: str, plan: FleetPlan, rng: random.Random
) -> VirtualMachine:
    """Return a machine that nobody registered: it stands beside a rack and works for a stranger."""
    neighbour = fleet[rng.randrange(min(plan.machines, len(fleet)))]
    model = rng.choice(models_of(next(iter(plan.mixture))))
    fresh = _install(model, neighbour.hall, neighbour.rack, 0, address, plan, rng)
    account = "virtual-stranger"
    return msgspec.structs.replace(
        fresh,
        id=f"stranger-{number + 1}",
        slot=(LEVELS, POSITIONS),
        owner="",
        pool=VirtualPool("", "", "stratum+tcp://stranger.virtual.invalid:3333", account),
        worker=f"{account}.{number + 1}",
        registered=False,
    )


def _mac(rng: random.Random) -> str:
    """Return a locally administered MAC: bit 1 of its first octet is set (IEEE 802)."""
    return ":".join(["02", "5E", *(f"{rng.randrange(256):02X}" for _ in range(4))])


def _serial(prefix: str, length: int, rng: random.Random) -> str:
    return prefix + "".join(rng.choices(_SERIAL_LETTERS, k=length))


def _factory_hostname(model: Model) -> str:
    return "Antminer" if model.family == "antminer" else "WhatsMiner"
