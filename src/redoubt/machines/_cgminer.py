"""What all families that speak the cgminer API share: its requests and the shape of its replies.

The API is one JSON request per TCP connection; the answer is an object with a STATUS and one
section named for the command. Source: cgminer's API-README.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from redoubt.machines._driver import Bounds, Cadence, Call, Transport
from redoubt.machines._read import as_mapping, as_time, first, rows, word
from redoubt.model.status import PoolState

_MOST_ENTRIES = 64


def cgminer_call(
    command: str, service: str, *, cadence: Cadence = Cadence.STEADY, arguments: str = ""
) -> Call:
    """Return the call of a read command; `arguments` is further JSON, such as ',"new_api":true'."""
    return Call(
        name=command,
        transport=Transport.CGMINER,
        service=service,
        request=f'{{"command":"{command}"{arguments}}}'.encode(),
        cadence=cadence,
        bounds=Bounds(max_bytes=1 << 18),
    )


def section(document: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the entries of a section. Raises TypeError or KeyError where there is none."""
    return rows(as_mapping(document)[name], _MOST_ENTRIES)


def first_entry(document: Any, name: str) -> Mapping[str, Any]:
    """Return a section's first entry. Raises IndexError where the section is empty."""
    return section(document, name)[0]


def clock_at(document: Any) -> datetime | None:
    """Return the machine's own clock, which STATUS carries as `When` (`when` in newer dialects)."""
    entries = rows(as_mapping(document).get("STATUS"), _MOST_ENTRIES)
    return as_time(first(entries[0], "When", "when")) if entries else None


def pool_state(reported: Any, is_active: bool) -> PoolState:
    """Return a pool's state from cgminer's word for it: Alive, Dead, Disabled, Rejecting."""
    match word(reported):
        case "alive":
            return PoolState.ACTIVE if is_active else PoolState.ALIVE
        case "dead" | "unreachable" | "rejecting":
            return PoolState.DEAD
        case "disabled":
            return PoolState.DISABLED
        case _:
            return PoolState.UNKNOWN
