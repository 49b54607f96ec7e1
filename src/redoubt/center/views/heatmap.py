"""A site's heat map: where each machine stands, and what it shows, in compact columns.

The layout (racks and the machines in them) changes seldom and has a digest; a push of changed cells
names machines by their place in that layout, so it is good only for a page that has the same one.

Measures travel as small integers, None where unknown: `temp` in tenths of °C, `rate` in thousandths
of nominal, `power` in watts, `at` in epoch seconds.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from redoubt.center.latest import Columns
from redoubt.center.views.fleet import (
    FRESH_S,
    STATE_CODES,
    STATES,
    Fleet,
    heard_states,
    parse_slot,
)

CELL_COLUMNS = (
    "machine",
    "state",
    "at_ms",
    "hashrate_hs",
    "hashrate_nominal_hs",
    "power_w",
    "temp_chip_max_c",
)
"""What cells take from the latest state."""
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

    @classmethod
    def none(cls, version: int, layout: str, now: float) -> Cells:
        empty: list[Any] = []
        return cls(
            version=version,
            layout=layout,
            now=now,
            i=empty,
            state=empty,
            temp=empty,
            rate=empty,
            power=empty,
            at=empty,
        )


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

    def index(self) -> dict[str, int]:
        """Return each machine's place in the layout."""
        return {machine: at for at, machine in enumerate(self.machine)}


def make_layout(fleet: Fleet, site: str) -> HeatMap:
    """Return where each machine of a site stands; no cell has a value yet."""
    places = fleet.of_site(site)
    blocks, rack, level, position = _lay_out(fleet, site, places)
    machines = [fleet.machine[at] for at in places]
    nominal = [fleet.nominal_hs[at] for at in places]
    digest = layout_digest(blocks, machines, rack, level, position, nominal)
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
        nominal_hs=nominal,
        cells=Cells.none(fleet.version, digest, fleet.now.timestamp()),
    )


def is_laid_out(layout: HeatMap, heard: Columns) -> bool:
    """Whether the layout has every machine that was heard of."""
    return layout.index().keys() >= set(heard.columns["machine"])


def changed_cells(layout: HeatMap, heard: Columns) -> Cells | None:
    """Return the cells of the machines in `heard`, which has CELL_COLUMNS.

    None where a machine is not in the layout: the page must then ask for a new one. Cells of which
    nothing was ever heard are left out.
    """
    index = layout.index()
    if any(machine not in index for machine in heard.columns["machine"]):
        return None
    return cells_of(layout, heard)


def cells_of(layout: HeatMap, heard: Columns) -> Cells:
    """As `changed_cells`, without machines that have no cell: of another site, or long gone."""
    columns: Mapping[str, Sequence[Any]] = heard.columns
    index = layout.index()
    rows = [row for row, machine in enumerate(columns["machine"]) if machine in index]
    places = [index[columns["machine"][row]] for row in rows]
    states, temps, at_ms = heard_states(columns), columns["temp_chip_max_c"], columns["at_ms"]
    rates, nominals = columns["hashrate_hs"], columns["hashrate_nominal_hs"]
    return Cells(
        version=heard.version,
        layout=layout.layout,
        now=heard.at.timestamp(),
        i=places,
        state=[STATE_CODES.get(states[row], 6) for row in rows],
        temp=[_scaled(temps[row], 10) for row in rows],
        rate=[
            _ratio(rates[row], layout.nominal_hs[place] or nominals[row])
            for row, place in zip(rows, places, strict=True)
        ],
        power=[_scaled(columns["power_w"][row], 1) for row in rows],
        at=[None if at_ms[row] is None else at_ms[row] // 1000 for row in rows],
    )


def layout_digest(*parts: Any) -> str:
    """Return a short word that changes whenever a machine stands elsewhere."""
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()[:12]


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
        for rack in sorted(
            racks, key=lambda rack: (natural(buildings[rack.building]), natural(rack.name), rack.id)
        )
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


def natural(name: str) -> list[tuple[int, str]]:
    """Return what to sort a name by, so that "Hall 2" comes before "Hall 10"."""
    parts = re.split(r"(\d{1,12})", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _scaled(value: float | None, factor: int) -> int | None:
    """Claims beyond all reason are cut, so that they stay small integers."""
    return None if value is None else round(max(-1e8, min(1e8, value * factor)))


def _ratio(value: float | None, nominal: float | None) -> int | None:
    if value is None or not nominal:
        return None
    return _scaled(value / nominal, 1000)
