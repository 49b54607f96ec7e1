"""A site's heat map: where each machine stands, and what it shows, in compact columns.

The layout (racks and the machines in them) changes seldom and has a digest; a push of changed cells
names machines by their place in that layout, so it is good only for a page that has the same one.

Measures travel as small integers, None where unknown: `temp` in tenths of °C, `rate` in thousandths
of nominal, `power` in watts, `at` in epoch seconds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from redoubt.center.views.fleet import FRESH_S, STATE_CODES, STATES, Fleet, parse_slot

MAX_LEVELS, MAX_POSITIONS = 200, 200
"""A rack larger than this in the register is drawn as if its machines were unplaced."""


class RackBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A rack as it is drawn. `id` is "" for the block of machines without a place."""

    id: str
    name: str
    building: str
    levels: int
    positions: int


class Cells(msgspec.Struct, frozen=True, kw_only=True):
    """What cells show. `i` are places in the layout."""

    version: int
    layout: str
    now: float
    i: list[int]
    state: list[int]
    temp: list[int | None]
    rate: list[int | None]
    power: list[int | None]
    at: list[int | None]


class HeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """The layout with all its cells: machine n stands at `rack[n]`, `level[n]`, `position[n]`."""

    site: str
    layout: str
    states: tuple[str, ...]
    fresh_s: float
    racks: list[RackBlock]
    machine: list[str]
    model: list[str | None]
    slot: list[str]
    rack: list[int]
    level: list[int]
    position: list[int]
    nominal_hs: list[float | None]
    cells: Cells


def make_heat_map(fleet: Fleet, site: str) -> HeatMap:
    """Return the whole heat map of a site."""
    places = fleet.of_site(site)
    blocks, rack, level, position = _lay_out(fleet, site, places)
    machines = [fleet.machine[at] for at in places]
    digest = layout_digest(blocks, machines, rack, level, position)
    return HeatMap(
        site=site,
        layout=digest,
        states=STATES,
        fresh_s=FRESH_S,
        racks=blocks,
        machine=machines,
        model=[fleet.model[at] for at in places],
        slot=[fleet.slot[at] for at in places],
        rack=rack,
        level=level,
        position=position,
        nominal_hs=[fleet.nominal_hs[at] for at in places],
        cells=_cells(fleet, digest, places),
    )


def changed_cells(
    layout: HeatMap, changes: Mapping[str, list[Any]], version: int, now: float
) -> Cells | None:
    """Return the cells that `changes` (columns of the latest state) alter.

    None where a machine is not in the layout: the page must then ask for a new one.
    """
    index = {machine: at for at, machine in enumerate(layout.machine)}
    picked = [index.get(machine) for machine in changes["machine"]]
    if None in picked:
        return None
    places = [at for at in picked if at is not None]
    return Cells(
        version=version,
        layout=layout.layout,
        now=now,
        i=places,
        state=[STATE_CODES.get(state, 6) for state in changes["state"]],
        temp=[_scaled(value, 10) for value in changes["temp_chip_max_c"]],
        rate=[
            _ratio(value, layout.nominal_hs[at])
            for at, value in zip(places, changes["hashrate_hs"], strict=True)
        ],
        power=[_scaled(value, 1) for value in changes["power_w"]],
        at=[None if at_ms is None else at_ms // 1000 for at_ms in changes["at_ms"]],
    )


def layout_digest(*parts: Any) -> str:
    """Return a short word that changes whenever a machine stands elsewhere."""
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()[:12]


def _cells(fleet: Fleet, digest: str, places: list[int]) -> Cells:
    return Cells(
        version=fleet.version,
        layout=digest,
        now=fleet.now.timestamp(),
        i=list(range(len(places))),
        state=[STATE_CODES.get(fleet.state[at], 6) for at in places],
        temp=[_scaled(fleet.temp_chip_max_c[at], 10) for at in places],
        rate=[_ratio(fleet.hashrate_hs[at], fleet.nominal_hs[at]) for at in places],
        power=[_scaled(fleet.power_w[at], 1) for at in places],
        at=[None if (at_ms := fleet.at_ms[at]) is None else at_ms // 1000 for at in places],
    )


def _lay_out(
    fleet: Fleet, site: str, places: list[int]
) -> tuple[list[RackBlock], list[int], list[int], list[int]]:
    """Give every machine a cell of its own: by its slot, or at the end where it has none."""
    blocks = _registered_racks(fleet, site)
    index = {block.id: at for at, block in enumerate(blocks)}
    taken: set[tuple[int, int, int]] = set()
    spots: list[tuple[int, int, int] | None] = []
    for at in places:
        spot = _spot(index.get(fleet.rack[at]), fleet.slot[at], blocks)
        spots.append(None if spot in taken else spot)
        if spot is not None:
            taken.add(spot)
    blocks, spots = _place_the_rest(blocks, spots)
    rack, level, position = (
        [spot[part] for spot in spots if spot is not None] for part in range(3)
    )
    return blocks, rack, level, position


def _registered_racks(fleet: Fleet, site: str) -> list[RackBlock]:
    buildings = {
        building.id: building.name for building in fleet.register.buildings if building.site == site
    }
    racks = [rack for rack in fleet.register.racks if rack.building in buildings]
    return [
        RackBlock(
            id=rack.id,
            name=rack.name,
            building=buildings[rack.building],
            levels=rack.levels,
            positions=rack.positions,
        )
        for rack in sorted(racks, key=lambda rack: (buildings[rack.building], rack.id))
        if 0 < rack.levels <= MAX_LEVELS and 0 < rack.positions <= MAX_POSITIONS
    ]


def _spot(rack: int | None, slot: str, blocks: list[RackBlock]) -> tuple[int, int, int] | None:
    where = parse_slot(slot)
    if rack is None or where is None:
        return None
    level, position = where
    block = blocks[rack]
    if 1 <= level <= block.levels and 1 <= position <= block.positions:
        return rack, level, position
    return None


def _place_the_rest(
    blocks: list[RackBlock], spots: list[tuple[int, int, int] | None]
) -> tuple[list[RackBlock], list[tuple[int, int, int] | None]]:
    """Put machines without a slot of their own into a block at the end, as square as may be."""
    left = spots.count(None)
    if not left:
        return blocks, spots
    wide = max(4, math.ceil(math.sqrt(left)))
    block = RackBlock(
        id="", name="No place", building="", levels=math.ceil(left / wide), positions=wide
    )
    free = iter(range(left))
    filled: list[tuple[int, int, int] | None] = []
    for spot in spots:
        if spot is None:
            nth = next(free)
            spot = (len(blocks), nth // wide + 1, nth % wide + 1)
        filled.append(spot)
    return [*blocks, block], filled


def _scaled(value: float | None, factor: int) -> int | None:
    """Claims beyond all reason are cut, so that they stay small integers."""
    return None if value is None else round(max(-1e8, min(1e8, value * factor)))


def _ratio(value: float | None, nominal: float | None) -> int | None:
    if value is None or not nominal:
        return None
    return _scaled(value / nominal, 1000)
