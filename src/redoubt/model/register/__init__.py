"""The register: what is *allowed*. Which machine, where, for whom, at which pool, with what power.

`Register` is one organisation's whole; `RegisterSlice` is what one site needs of it and travels
signed (`snapshot`). `csv_form` and `toml_form` read and write it for people; `changes` says what an
import would do. All of it is pure: text in, values or a list of problems out.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    OwnerId,
    PoolId,
    RackId,
    SiteId,
    UserId,
)


class OrganisationKind(StrEnum):
    """An operator runs machines; a client is protected without mining."""

    OPERATOR = "operator"
    CLIENT = "client"


class Organisation(msgspec.Struct, frozen=True):
    id: OrganisationId
    name: str
    kind: OrganisationKind = OrganisationKind.OPERATOR


class User(msgspec.Struct, frozen=True):
    id: UserId
    name: str
    email: str


class Role(StrEnum):
    """What a grant allows; each includes the one before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Grant(msgspec.Struct, frozen=True):
    """A user's role in one organisation."""

    user: UserId
    organisation: OrganisationId
    role: Role


class Owner(msgspec.Struct, frozen=True):
    """Whom a machine works for."""

    id: OwnerId
    name: str


class Pool(msgspec.Struct, frozen=True):
    """A pool that machines may work at, and the account that they must work for.

    `url` is the stratum URL; `account` is the part of the worker name before its first dot.
    """

    id: PoolId
    name: str
    url: str
    account: str


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A place with one agent. `allowance_w` is what it may draw; None where nothing is agreed.

    Latitude and longitude are WGS 84 degrees. `virtual` sites are shown as such everywhere.
    """

    id: SiteId
    name: str
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None
    allowance_w: float | None = None
    virtual: bool = False


class Building(msgspec.Struct, frozen=True):
    id: BuildingId
    site: SiteId
    name: str


class Rack(msgspec.Struct, frozen=True, kw_only=True):
    """A rack of `levels` shelves with `positions` slots each, counted from 1, from top left."""

    id: RackId
    building: BuildingId
    name: str
    levels: int
    positions: int


class Slot(msgspec.Struct, frozen=True, order=True):
    """A machine's place in a rack: written "level-position", e.g. "3-2"."""

    level: int
    position: int

    def __str__(self) -> str:
        return f"{self.level}-{self.position}"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that may mine. Identifiers are None where they are not known yet.

    `address` is where it was registered; machines are recognised by their identifiers, not by it.
    `power_limit_w` is the most it may draw.
    """

    id: MachineId
    site: SiteId
    make: str
    model: str
    family: str | None = None
    rack: RackId | None = None
    slot: Slot | None = None
    address: str | None = None
    serial: str | None = None
    mac: str | None = None
    control_board_serial: str | None = None
    hashboard_serials: tuple[str, ...] = ()
    owner: OwnerId | None = None
    pool: PoolId | None = None
    worker: str | None = None
    hashrate_nominal_hs: float | None = None
    power_limit_w: float | None = None


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """All that one organisation is allowed, at one version. Each tuple is sorted by id."""

    organisation: OrganisationId
    version: int
    owners: tuple[Owner, ...] = ()
    pools: tuple[Pool, ...] = ()
    sites: tuple[Site, ...] = ()
    buildings: tuple[Building, ...] = ()
    racks: tuple[Rack, ...] = ()
    machines: tuple[Machine, ...] = ()


class RegisterSlice(msgspec.Struct, frozen=True, kw_only=True):
    """What one site needs of the register. `version` only ever grows; `made_at` is the center's."""

    organisation: OrganisationId
    version: int
    made_at: datetime
    site: Site
    owners: tuple[Owner, ...] = ()
    pools: tuple[Pool, ...] = ()
    buildings: tuple[Building, ...] = ()
    racks: tuple[Rack, ...] = ()
    machines: tuple[Machine, ...] = ()


def slice_register(register: Register, site: Site, made_at: datetime) -> RegisterSlice:
    """Return the part of `register` that the agent of `site` works by."""
    buildings = tuple(building for building in register.buildings if building.site == site.id)
    building_ids = {building.id for building in buildings}
    machines = tuple(machine for machine in register.machines if machine.site == site.id)
    owners = {machine.owner for machine in machines}
    pools = {machine.pool for machine in machines}
    return RegisterSlice(
        organisation=register.organisation,
        version=register.version,
        made_at=made_at,
        site=site,
        owners=tuple(owner for owner in register.owners if owner.id in owners),
        pools=tuple(pool for pool in register.pools if pool.id in pools),
        buildings=buildings,
        racks=tuple(rack for rack in register.racks if rack.building in building_ids),
        machines=machines,
    )
