"""The list of machines: filtered, sorted and cut into pages on the server; columns for the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from redoubt.center.views.fleet import STATES, Fleet
from redoubt.center.views.totals import cause_of
from redoubt.model.errors import InputError

PAGE = 100
MAX_ROWS = 20_000
LIST_COLUMNS = (
    "machine",
    "site",
    "rack",
    "slot",
    "address",
    "make",
    "model",
    "firmware",
    "owner",
    "is_registered",
    "state",
    "at_ms",
    "hashrate_hs",
    "nominal_hs",
    "power_w",
    "power_kind",
    "temp_chip_max_c",
    "fan_min_rpm",
    "uptime_s",
    "accepted",
)
"""The list form of a machine, in order."""
SORTS = ("place", "machine", "model", "state", "hashrate", "power", "temp", "uptime", "age")
_SORT_COLUMNS = {
    "machine": "machine",
    "model": "model",
    "hashrate": "hashrate_hs",
    "power": "power_w",
    "temp": "temp_chip_max_c",
    "uptime": "uptime_s",
    "age": "at_ms",
}


class MachineFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which machines; "" means any.

    `state` may be a state or "not_hashing". `text` is looked for in id, address, model and rack,
    whatever the case.
    """

    site: str = ""
    rack: str = ""
    state: str = ""
    cause: str = ""
    text: str = ""
    sort: str = "place"
    descending: bool = False


class MachineRows(msgspec.Struct, frozen=True, kw_only=True):
    """A page of machines; each row has LIST_COLUMNS. `total` counts all pages."""

    at_ms: int
    version: int
    total: int
    offset: int
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def pick_machines(
    fleet: Fleet, wanted: MachineFilter, causes: Mapping[str, str] | None = None
) -> list[int]:
    """Return the places of the machines wanted, sorted.

    Raises InputError on a sort or state that is none.
    """
    if wanted.sort not in SORTS:
        raise InputError(f"expected sort to be one of {', '.join(SORTS)}, got {wanted.sort[:40]!r}")
    if wanted.state not in ("", "not_hashing", *STATES):
        known = ", ".join((*STATES, "not_hashing"))
        raise InputError(f"expected state to be one of {known}, got {wanted.state[:40]!r}")
    places: list[int] = list(fleet.everywhere())
    for name in ("site", "rack"):
        value = getattr(wanted, name)
        if value:
            column = getattr(fleet, name)
            places = [at for at in places if column[at] == value]
    if wanted.state == "not_hashing":
        places = [at for at in places if not fleet.is_hashing(at)]
    elif wanted.state:
        places = [at for at in places if fleet.state[at] == wanted.state]
    if wanted.cause:
        places = [
            at
            for at in places
            if not fleet.is_hashing(at) and cause_of(fleet, at, causes or {}) == wanted.cause
        ]
    if wanted.text:
        places = [at for at in places if _has(fleet, at, wanted.text.casefold())]
    return _sorted(fleet, places, wanted)


def list_machines(fleet: Fleet, places: list[int], offset: int, limit: int) -> MachineRows:
    """Return one page of the machines at `places`, in list form."""
    cut = places[offset : offset + min(limit, MAX_ROWS)]
    columns = [getattr(fleet, name) for name in LIST_COLUMNS]
    if cut != list(fleet.everywhere()):
        columns = [[column[at] for at in cut] for column in columns]
    return MachineRows(
        at_ms=round(fleet.now.timestamp() * 1000),
        version=fleet.version,
        total=len(places),
        offset=offset,
        columns=LIST_COLUMNS,
        rows=list(zip(*columns, strict=True)),
    )


def _has(fleet: Fleet, place: int, text: str) -> bool:
    words = (fleet.machine, fleet.address, fleet.model, fleet.rack)
    return any(text in (column[place] or "").casefold() for column in words)


def _sorted(fleet: Fleet, places: list[int], wanted: MachineFilter) -> list[int]:
    """Sort stably; machines of which the value is unknown come last either way."""
    if wanted.sort == "place":
        return places[::-1] if wanted.descending else places
    if wanted.sort == "state":
        order = {state: rank for rank, state in enumerate(STATES)}
        return sorted(
            places, key=lambda at: order.get(fleet.state[at], 99), reverse=wanted.descending
        )
    column: list[Any] = getattr(fleet, _SORT_COLUMNS[wanted.sort])
    known = [at for at in places if column[at] is not None]
    # The youngest age is the latest time.
    reverse = wanted.descending != (wanted.sort == "age")
    known.sort(key=lambda at: column[at], reverse=reverse)
    return known + [at for at in places if column[at] is None]
