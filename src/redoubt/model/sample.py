"""One machine's sample: the row of telemetry that travels from spool to store.

Time, place, machine, state and twelve measures. Site and organisation are not columns: the center
takes them from the agent's certificate and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from redoubt.model.ids import UNPLACED, MachineId, RackId
from redoubt.model.status import MachineState, MachineStatus, PowerKind

MEASURES: tuple[str, ...] = (
    "hashrate_hs",
    "power_w",
    "temp_board_max_c",
    "temp_chip_max_c",
    "fan_min_rpm",
    "fan_max_rpm",
    "uptime_s",
    "accepted",
    "rejected",
    "stale",
    "boards_hashing",
    "chips_hashing",
)
"""The twelve measures of a row, in column order; None where the machine did not say."""

ColumnKind = Literal["time_ms", "text", "int64", "float32"]

COLUMNS: tuple[tuple[str, ColumnKind], ...] = (
    ("at", "time_ms"),
    ("rack", "text"),
    ("slot", "text"),
    ("machine", "text"),
    ("state", "text"),
    ("power_kind", "text"),
    ("hashrate_hs", "int64"),
    ("power_w", "float32"),
    ("temp_board_max_c", "float32"),
    ("temp_chip_max_c", "float32"),
    ("fan_min_rpm", "int64"),
    ("fan_max_rpm", "int64"),
    ("uptime_s", "int64"),
    ("accepted", "int64"),
    ("rejected", "int64"),
    ("stale", "int64"),
    ("boards_hashing", "int64"),
    ("chips_hashing", "int64"),
)
"""Every column of a batch of samples, in order. `text` columns of place are "" where unplaced."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One machine at one moment. A poll that failed is a sample too: its measures are None."""

    at: datetime
    machine: MachineId
    state: MachineState
    rack: RackId = UNPLACED
    slot: str = ""
    power_kind: PowerKind | None = None
    hashrate_hs: int | None = None
    power_w: float | None = None
    temp_board_max_c: float | None = None
    temp_chip_max_c: float | None = None
    fan_min_rpm: int | None = None
    fan_max_rpm: int | None = None
    uptime_s: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    stale: int | None = None
    boards_hashing: int | None = None
    chips_hashing: int | None = None


def sample_of(
    machine: MachineId, status: MachineStatus, rack: RackId = UNPLACED, slot: str = ""
) -> Sample:
    """Return the row that a status gives. Share counts are summed over the machine's pools."""
    rpms = [fan.rpm for fan in status.fans if fan.rpm is not None]
    chips = [board.chips for board in status.boards if board.chips is not None]
    rates = [board.hashrate_hs for board in status.boards if board.hashrate_hs is not None]
    return Sample(
        at=status.at,
        machine=machine,
        state=status.state,
        rack=rack,
        slot=slot,
        power_kind=status.power_kind,
        hashrate_hs=None if status.hashrate_hs is None else _storable(round(status.hashrate_hs)),
        power_w=status.power_w,
        temp_board_max_c=status.temp_board_max_c,
        temp_chip_max_c=status.temp_chip_max_c,
        fan_min_rpm=_storable(min(rpms, default=None)),
        fan_max_rpm=_storable(max(rpms, default=None)),
        uptime_s=_storable(status.uptime_s),
        accepted=_sum_known([pool.accepted for pool in status.pools]),
        rejected=_sum_known([pool.rejected for pool in status.pools]),
        stale=_sum_known([pool.stale for pool in status.pools]),
        boards_hashing=sum(rate > 0 for rate in rates) if rates else None,
        chips_hashing=_storable(sum(chips)) if chips else None,
    )


def _sum_known(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return _storable(sum(known)) if known else None


def _storable(value: int | None) -> int | None:
    """Return a whole number that fits its column, None where no machine could mean it."""
    return None if value is None or abs(value) >= 1 << 63 else value
