"""The fleet: every machine that is registered or was heard of, in columns, at one moment.

The register says what should be there; the latest state says what was heard. Columns rather than
rows, because pages ask for one column of all machines far more often than for all of one machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from redoubt.center.latest import STALE_AFTER_S, Columns
from redoubt.model.hardware import find_hardware
from redoubt.model.register import Machine, Register

STRANGER_KEPT = timedelta(hours=24)
ROSTER_LIFE = timedelta(minutes=1)
"""How long a roster may leave a stranger in that has meanwhile become old."""
FRESH_S = STALE_AFTER_S
"""Younger figures need not say their age; older ones no longer count as now."""

STATES = ("hashing", "degraded", "sleeping", "offline", "needs_auth", "stale", "unknown")
"""A state's place here is its code in a heat map."""
STATE_CODES = {state: code for code, state in enumerate(STATES)}
HASHING = frozenset({"hashing", "degraded"})

HEARD = (
    "site",
    "machine",
    "rack",
    "slot",
    "address",
    "make",
    "model",
    "firmware",
    "state",
    "power_kind",
    "at_ms",
    "hashrate_hs",
    "hashrate_nominal_hs",
    "power_w",
    "temp_chip_max_c",
    "fan_min_rpm",
    "uptime_s",
    "accepted",
    "rejected",
)
"""The columns that a fleet takes from the latest state."""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """One entry per machine in every column, sorted by site, rack, slot and id.

    `state` is `stale` where nothing was heard for FRESH_S and `unknown` where nothing ever was;
    `at_ms` is None then. Numbers are what was last heard, however old.
    """

    now: datetime
    version: int
    register: Register
    machine: list[str]
    site: list[str]
    rack: list[str]
    slot: list[str]
    is_registered: list[bool]
    address: list[str | None]
    make: list[str | None]
    model: list[str | None]
    firmware: list[str | None]
    owner: list[str | None]
    state: list[str]
    power_kind: list[str | None]
    at_ms: list[int | None]
    hashrate_hs: list[float | None]
    nominal_hs: list[float | None]
    power_w: list[float | None]
    temp_chip_max_c: list[float | None]
    fan_min_rpm: list[float | None]
    uptime_s: list[float | None]
    accepted: list[float | None]
    rejected: list[float | None]

    def __len__(self) -> int:
        return len(self.machine)

    def everywhere(self) -> range:
        return range(len(self.machine))

    def of_site(self, site: str) -> list[int]:
        """Return the places of a site's machines."""
        return [place for place, name in enumerate(self.site) if name == site]

    def place_of(self, machine: str) -> int | None:
        try:
            return self.machine.index(machine)
        except ValueError:
            return None

    def is_hashing(self, place: int) -> bool:
        """Whether a machine hashes now. One that is degraded down to nothing does not."""
        return self.state[place] in HASHING and self.hashrate_hs[place] != 0

    def age_s(self, place: int) -> float | None:
        at_ms = self.at_ms[place]
        return None if at_ms is None else max(0.0, self.now.timestamp() - at_ms / 1000)


class Roster(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in the fleet and where: what changes seldom, so that it is sorted out once.

    `rows` is each machine's row among what was heard, -1 where nothing was. `heard` are the columns
    that it was made from.
    """

    made_at: datetime
    register: Register
    heard: tuple[Sequence[Any], ...]
    rows: list[int]
    registered: list[Machine | None]
    machine: list[str]
    site: list[str]
    rack: list[str]
    slot: list[str]

    def fits(self, register: Register, heard: Columns) -> bool:
        """Whether the roster is still right. A machine that two sites heard of is sorted anew."""
        is_alike = self.register is register and self.heard == _heard_places(heard)
        is_new = heard.at - self.made_at < ROSTER_LIFE
        return is_new and is_alike and len(set(self.heard[0])) == len(self.heard[0])

    def pick(self, column: Sequence[Any]) -> list[Any]:
        """Return a column of what was heard in the roster's order, None where nothing was."""
        if len(self.rows) < 2:
            return [None if row < 0 else column[row] for row in self.rows]
        return list(itemgetter(*self.rows)([*column, None]))


def make_roster(register: Register, heard: Columns) -> Roster:
    """Return every machine of the register and every other that was heard of, once each.

    A stranger that was not heard of for STRANGER_KEPT is left out: nobody expects it back.
    """
    columns = heard.columns
    known = {str(machine.id): machine for machine in register.machines}
    oldest_ms = (heard.at - STRANGER_KEPT).timestamp() * 1000
    rows = _newest_rows(columns, known, oldest_ms)
    names = [*known, *(name for name in rows if name not in known)]
    placed = sorted(_placed(name, known.get(name), rows.get(name), columns) for name in names)
    machines = [name for *_, name in placed]
    return Roster(
        made_at=heard.at,
        register=register,
        heard=_heard_places(heard),
        rows=[rows.get(name, -1) for name in machines],
        registered=[known.get(name) for name in machines],
        machine=machines,
        site=[site for site, *_ in placed],
        rack=[rack for _, rack, *_ in placed],
        slot=[slot for *_, slot, _ in placed],
    )


def join_fleet(heard: Columns, roster: Roster) -> Fleet:
    """Return the fleet as it was heard of. `roster` must fit."""
    columns, registered, pick = heard.columns, roster.registered, roster.pick
    return Fleet(
        now=heard.at,
        version=heard.version,
        register=roster.register,
        machine=roster.machine,
        site=roster.site,
        rack=roster.rack,
        slot=roster.slot,
        is_registered=[machine is not None for machine in registered],
        owner=[None if machine is None else machine.owner for machine in registered],
        address=_either(pick(columns["address"]), registered, "address"),
        make=_either(pick(columns["make"]), registered, "make"),
        model=_either(pick(columns["model"]), registered, "model"),
        firmware=pick(columns["firmware"]),
        state=[word or "unknown" for word in pick(heard_states(columns))],
        power_kind=pick(columns["power_kind"]),
        at_ms=pick(columns["at_ms"]),
        hashrate_hs=pick(columns["hashrate_hs"]),
        nominal_hs=_nominal(
            pick(columns["hashrate_nominal_hs"]),
            pick(columns["make"]),
            pick(columns["model"]),
            registered,
        ),
        power_w=pick(columns["power_w"]),
        temp_chip_max_c=pick(columns["temp_chip_max_c"]),
        fan_min_rpm=pick(columns["fan_min_rpm"]),
        uptime_s=pick(columns["uptime_s"]),
        accepted=pick(columns["accepted"]),
        rejected=pick(columns["rejected"]),
    )


def heard_states(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return states; a machine of which only details are known was never sampled."""
    return [
        "unknown" if at_ms is None else state
        for state, at_ms in zip(columns["state"], columns["at_ms"], strict=True)
    ]


def _heard_places(heard: Columns) -> tuple[Sequence[Any], ...]:
    return tuple(heard.columns[name] for name in ("machine", "site", "rack", "slot"))


def _newest_rows(
    columns: Mapping[str, Sequence[Any]], known: Mapping[str, Machine], oldest_ms: float
) -> dict[str, int]:
    """Return each machine's row; of a stranger that two sites heard of, the newer.

    Of a registered machine only its own site is believed: no agent can speak for another's.
    """
    rows: dict[str, int] = {}
    at_ms, sites = columns["at_ms"], columns["site"]
    for row, machine in enumerate(columns["machine"]):
        registered = known.get(machine)
        if registered is None:
            if (at_ms[row] or 0) < oldest_ms:
                continue
        elif registered.site != sites[row]:
            continue
        before = rows.get(machine)
        if before is None or (at_ms[row] or 0) >= (at_ms[before] or 0):
            rows[machine] = row
    return rows


_Placed = tuple[str, str, tuple[int, int], str, str]


def _placed(
    name: str, machine: Machine | None, row: int | None, columns: Mapping[str, Sequence[Any]]
) -> _Placed:
    """Return (site, rack, slot to sort by, slot, machine); the register is asked for it first."""
    rack, slot = "", ""
    if machine is not None and machine.rack is not None:
        rack, slot = machine.rack, str(machine.slot or "")
    elif row is not None:
        rack, slot = columns["rack"][row] or "", columns["slot"][row] or ""
    site = machine.site if row is None and machine is not None else columns["site"][row or 0]
    return site, rack, parse_slot(slot) or (0, 0), slot, name


@lru_cache(maxsize=4096)
def parse_slot(slot: str) -> tuple[int, int] | None:
    """Return (level, position) of "3-2"; None where the text is no slot."""
    level, _, position = slot.partition("-")
    if level.isdecimal() and position.isdecimal() and len(slot) < 12:
        return int(level), int(position)
    return None


def _either(said: list[Any], registered: list[Machine | None], field: str) -> list[Any]:
    """What the machine says of itself, else what the register says."""
    return [
        value or (None if machine is None else getattr(machine, field))
        for value, machine in zip(said, registered, strict=True)
    ]


def _nominal(
    said: list[float | None],
    makes: list[str | None],
    models: list[str | None],
    registered: list[Machine | None],
) -> list[float | None]:
    """What each machine should hash: the register's figure, its own, or its model's."""
    return [
        (machine.hashrate_nominal_hs if machine is not None else None)
        or value
        or _table_nominal(make, model)
        or (None if machine is None else _table_nominal(machine.make, machine.model))
        for value, make, model, machine in zip(said, makes, models, registered, strict=True)
    ]


@lru_cache(maxsize=1024)
def _table_nominal(make: str | None, model: str | None) -> float | None:
    hardware = find_hardware(make, model)
    return None if hardware is None else hardware.hashrate_nominal_hs
