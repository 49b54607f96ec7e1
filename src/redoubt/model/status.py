"""What one machine said when it was last read: the machine book's entry.

Unknown is None and nothing is invented. Every field that was read names its source in `sources`;
a field that could not be read has a source that says why. Values that cannot be true (166 % of the
chips, a negative hashrate) are kept as claimed, and `notes` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec


class MachineState(StrEnum):
    """What a machine is doing, as far as can be told from here."""

    HASHING = "hashing"
    SLEEPING = "sleeping"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    STALE = "stale"
    NEEDS_AUTH = "needs_auth"
    UNKNOWN = "unknown"


class PowerKind(StrEnum):
    """Where a figure in watts comes from; always shown beside it."""

    MEASURED = "measured"
    CLAIMED = "claimed"
    ESTIMATED = "estimated"


class Why(StrEnum):
    """Why a source gave no usable value, or one to be read with care."""

    NEEDS_AUTH = "needs_auth"
    NO_REPLY = "no_reply"
    UNPARSED = "unparsed"
    IMPLAUSIBLE = "implausible"


class Source(msgspec.Struct, frozen=True):
    """Where a field's value came from: the driver's call, and when its reply arrived.

    `at` is None and `why` set where there is no value; a model table as source is the call
    "hardware".
    """

    call: str
    at: datetime | None = None
    why: Why | None = None


class Board(msgspec.Struct, frozen=True):
    """One hashboard. `chips` are those that answer, `chips_expected` those it was built with."""

    index: int
    serial: str | None = None
    hashrate_hs: float | None = None
    chips: int | None = None
    chips_expected: int | None = None
    temp_board_c: float | None = None
    temp_chip_max_c: float | None = None


class Fan(msgspec.Struct, frozen=True):
    index: int
    rpm: int | None = None


class Psu(msgspec.Struct, frozen=True):
    """The power supply; `power_w` is its input as the PSU itself reports it."""

    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    power_w: float | None = None
    fan_rpm: int | None = None
    temp_c: float | None = None


class PoolState(StrEnum):
    """`active` is the pool that work comes from now; `alive` could be; `dead` could not."""

    ACTIVE = "active"
    ALIVE = "alive"
    DEAD = "dead"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


class PoolStatus(msgspec.Struct, frozen=True):
    """A pool as configured in the machine; counts are shares since the machine started."""

    index: int
    url: str | None = None
    user: str | None = None
    state: PoolState = PoolState.UNKNOWN
    accepted: int | None = None
    rejected: int | None = None
    stale: int | None = None


class MachineFault(msgspec.Struct, frozen=True):
    """An error that the machine reports about itself, in the maker's code and words."""

    code: str | None
    text: str
    at: datetime | None = None


class Note(msgspec.Struct, frozen=True):
    """Something about the reading itself: `code` is stable, `text` is for people."""

    code: str
    text: str
    field: str | None = None


class MachineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One machine, read once. The JSON form is the stable line of `machine show` and `site scan`.

    `hashrate_hs` is the machine's own short average (5 s to 1 min). `hashrate_nominal_hs` is the
    maker's figure, from the machine where it says one, else from the hardware tables.
    `efficiency_j_per_th` follows from `power_w` and `hashrate_hs`. `clock_at` is what the machine's
    own clock read when it answered (beside the time of its source, which is ours); None where the
    family doesn't say.
    """

    address: str
    at: datetime
    family: str | None = None
    make: str | None = None
    model: str | None = None
    firmware: str | None = None
    serial: str | None = None
    mac: str | None = None
    control_board_serial: str | None = None
    hostname: str | None = None
    state: MachineState = MachineState.UNKNOWN
    hashrate_hs: float | None = None
    hashrate_nominal_hs: float | None = None
    power_w: float | None = None
    power_kind: PowerKind | None = None
    efficiency_j_per_th: float | None = None
    temp_inlet_c: float | None = None
    uptime_s: int | None = None
    clock_at: datetime | None = None
    boards: tuple[Board, ...] = ()
    fans: tuple[Fan, ...] = ()
    psu: Psu | None = None
    pools: tuple[PoolStatus, ...] = ()
    errors: tuple[MachineFault, ...] = ()
    sources: dict[str, Source] = {}
    notes: tuple[Note, ...] = ()

    @property
    def temp_chip_max_c(self) -> float | None:
        """The hottest chip of all boards, or None where no board says."""
        return _max_known(board.temp_chip_max_c for board in self.boards)

    @property
    def temp_board_max_c(self) -> float | None:
        """The hottest board sensor of all boards, or None where no board says."""
        return _max_known(board.temp_board_c for board in self.boards)


def _max_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=None)
