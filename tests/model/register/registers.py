"""Registers for tests: a small one by hand, and every possible one for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    OwnerId,
    PoolId,
    RackId,
    SiteId,
)
from redoubt.model.register import Building, Machine, Owner, Pool, Rack, Register, Site, Slot

ACME = OrganisationId("acme")

SMALL = Register(
    organisation=ACME,
    version=3,
    owners=(Owner(OwnerId("anna"), "Anna"),),
    pools=(Pool(PoolId("p1"), "Pool one", "stratum+tcp://pool.example:3333", "acme"),),
    sites=(
        Site(id=SiteId("bunker"), name="Bunker", country="NO", latitude=-69.5, longitude=18.0),
        Site(id=SiteId("hall"), name="Hall", allowance_w=3.5e6, virtual=True),
    ),
    buildings=(Building(BuildingId("b1"), SiteId("bunker"), "North"),),
    racks=(Rack(id=RackId("r1"), building=BuildingId("b1"), name="Rack 1", levels=4, positions=5),),
    machines=(
        Machine(
            id=MachineId("m1"),
            site=SiteId("bunker"),
            make="Bitmain",
            model="Antminer S19j Pro",
            family="antminer",
            rack=RackId("r1"),
            slot=Slot(3, 2),
            address="10.0.0.7",
            serial="SN-1",
            mac="00:1a:2b:3c:4d:5e",
            hashboard_serials=("HB-1", "HB-2"),
            owner=OwnerId("anna"),
            pool=PoolId("p1"),
            worker="acme.m1",
            hashrate_nominal_hs=1.04e14,
            power_limit_w=3250.5,
        ),
        Machine(id=MachineId("m2"), site=SiteId("hall"), make="MicroBT", model="M50"),
    ),
)

_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
_texts = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C"])
        | st.sampled_from("=+-@'\",;\\＝#[]"),
        max_size=30,
    )
    .map(str.strip)
    .filter(lambda text: text.isprintable() and text != "")
)
_numbers = st.floats(min_value=0, max_value=1e300, allow_nan=False) | st.integers(0, 10**18).map(
    float
)
_macs = st.integers(1, 2**48 - 2).map(
    lambda number: ":".join(f"{number:012x}"[at : at + 2] for at in range(0, 12, 2))
)
_serials = st.from_regex(r"[A-Z1-9'=+@-][A-Z0-9 -]{2,10}[A-Z1-9]", fullmatch=True).filter(
    lambda serial: serial.lower() not in ("none", "null") and serial.strip("0X-: ") != ""
)


def _rows(make: Any, most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(make, max_size=most, unique_by=lambda row: row.id).map(
        lambda rows: tuple(sorted(rows, key=lambda row: row.id))
    )


def _one_of(rows: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from([row.id for row in rows])


@st.composite
def registers(draw: st.DrawFn) -> Register:
    """Any register that keeps the rules: references hold, no slot and no identifier twice."""
    owners = draw(_rows(st.builds(Owner, _ids, _texts)))
    pools = draw(_rows(st.builds(Pool, _ids, _texts, _texts, _texts)))
    sites = draw(
        _rows(
            st.builds(
                Site,
                id=_ids,
                name=_texts,
                country=st.sampled_from(["", "NO", "DE"]),
                latitude=st.none() | st.floats(-90, 90),
                longitude=st.none() | st.floats(-180, 180),
                allowance_w=st.none() | _numbers,
                virtual=st.booleans(),
            )
        )
    )
    if not sites:
        return Register(organisation=ACME, version=1, owners=owners, pools=pools)
    buildings = draw(_rows(st.builds(Building, _ids, _one_of(sites), _texts)))
    sizes = st.integers(1, 200)
    racks = (
        draw(
            _rows(
                st.builds(
                    Rack,
                    id=_ids,
                    building=_one_of(buildings),
                    name=_texts,
                    levels=sizes,
                    positions=sizes,
                )
            )
        )
        if buildings
        else ()
    )
    machines = draw(_machines(owners, pools, sites, buildings, racks))
    return Register(
        organisation=ACME,
        version=1,
        owners=owners,
        pools=pools,
        sites=sites,
        buildings=buildings,
        racks=racks,
        machines=machines,
    )


@st.composite
def _machines(
    draw: st.DrawFn,
    owners: tuple[Owner, ...],
    pools: tuple[Pool, ...],
    sites: tuple[Site, ...],
    buildings: tuple[Building, ...],
    racks: tuple[Rack, ...],
) -> tuple[Machine, ...]:
    site_of = {building.id: building.site for building in buildings}
    serials = draw(st.lists(_serials, min_size=8, max_size=8, unique=True))
    macs = draw(st.lists(_macs, min_size=4, max_size=4, unique=True))
    taken: set[tuple[str, Slot]] = set()
    machines = {}
    for number in range(draw(st.integers(0, 4))):
        rack: Rack | None = draw(st.none() | st.sampled_from(racks)) if racks else None
        slot = None
        if rack is not None and draw(st.booleans()):
            slot = Slot(draw(st.integers(1, rack.levels)), draw(st.integers(1, rack.positions)))
            slot = None if (rack.id, slot) in taken else slot
            if slot is not None:
                taken.add((rack.id, slot))
        machine = Machine(
            id=MachineId(draw(_ids)),
            site=site_of[rack.building] if rack else draw(_one_of(sites)),
            make=draw(_texts),
            model=draw(_texts),
            family=draw(st.none() | _ids),
            rack=rack.id if rack else None,
            slot=slot,
            address=draw(st.none() | st.sampled_from(["10.0.0.1", "2001:db8::7", "rig7.lan"])),
            serial=serials[number] if draw(st.booleans()) else None,
            mac=macs[number] if draw(st.booleans()) else None,
            control_board_serial=serials[4 + number] if draw(st.booleans()) else None,
            hashboard_serials=tuple(draw(st.lists(_serials, max_size=3))),
            owner=draw(st.none() | _one_of(owners)) if owners else None,
            pool=draw(st.none() | _one_of(pools)) if pools else None,
            worker=draw(st.none() | _texts),
            hashrate_nominal_hs=draw(st.none() | _numbers),
            power_limit_w=draw(st.none() | _numbers),
        )
        machines[machine.id] = machine
    return tuple(machines[key] for key in sorted(machines))
