"""Chips or boards near the temperature at which the machine's own firmware stops it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.status import Board, MachineStatus
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Heat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is hot for a family, °C. `stop` is where its firmware throttles or stops, from `source`;
    `hot` leaves people time before that."""

    chip_hot_c: float
    chip_stop_c: float
    board_hot_c: float
    board_stop_c: float
    source: str


ANTMINER = Heat(
    chip_hot_c=87.0,
    chip_stop_c=95.0,
    board_hot_c=75.0,
    board_stop_c=80.0,
    source="stock firmware's kernel log: 'over max temp, pcb temp … (max 80), chip temp …(max 95)'",
)
WHATSMINER = Heat(
    chip_hot_c=87.0,
    chip_stop_c=95.0,
    board_hot_c=80.0,
    board_stop_c=85.0,
    source="the maker's bin tables limit chips to 87 °C and boards to 80 °C; stop is our margin",
)
AXEOS = Heat(
    chip_hot_c=72.0,
    chip_stop_c=75.0,
    board_hot_c=80.0,
    board_stop_c=105.0,
    source="ESP-Miner's THROTTLE_TEMP 75 °C for the chip and 105 °C for the voltage regulator",
)
OTHER = Heat(
    chip_hot_c=90.0,
    chip_stop_c=100.0,
    board_hot_c=80.0,
    board_stop_c=90.0,
    source="no source: for families without figures of their own",
)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Temperatures by family; `other` is for families that are not named."""

    antminer: Heat = ANTMINER
    whatsminer_v3: Heat = WHATSMINER
    axeos: Heat = AXEOS
    other: Heat = OTHER


IMPOSSIBLE_C = 150.0
"""Above this it is a broken sensor, which `implausible_claim` tells."""


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None:
        return UNJUDGED
    chip_c, board_c = _hottest(status)
    if chip_c is None and board_c is None:
        return UNJUDGED
    heat: Heat = getattr(limits, status.family or "other", limits.other)
    over_hot = max((chip_c or 0.0) - heat.chip_hot_c, (board_c or 0.0) - heat.board_hot_c)
    if over_hot < 0:
        return None
    over_stop = max((chip_c or 0.0) - heat.chip_stop_c, (board_c or 0.0) - heat.board_stop_c)
    severity = Severity.CRITICAL if over_stop >= 0 else Severity.HIGH
    return _hot(machine, heat, severity, chip_c, board_c)


def _hot(
    machine: MachineView,
    heat: Heat,
    severity: Severity,
    chip_c: float | None,
    board_c: float | None,
) -> Trouble:
    chips_are_it = chip_c is not None and chip_c >= heat.chip_hot_c
    value = chip_c if chips_are_it else board_c
    stop_c = heat.chip_stop_c if chips_are_it else heat.board_stop_c
    where = "Chips" if chips_are_it else "Boards"
    title = f"{where} at {value:.0f} °C; firmware acts at {stop_c:.0f} °C"
    fact = machine_fact(
        machine,
        f"hottest {where.lower()[:-1]} reads {value:.0f} °C",
        temp_chip_max_c=chip_c,
        temp_board_max_c=board_c,
        chip_hot_limit_c=heat.chip_hot_c,
        board_hot_limit_c=heat.board_hot_c,
    )
    return Trouble(severity, title, "hot", (fact,))


def _hottest(status: MachineStatus) -> tuple[float | None, float | None]:
    """Return the hottest possible chip and board reading; one loop, since every round asks it."""
    chip_c: float | None = None
    board_c: float | None = None
    board: Board
    for board in status.boards:
        value = board.temp_chip_max_c
        if value is not None and value < IMPOSSIBLE_C and (chip_c is None or value > chip_c):
            chip_c = value
        value = board.temp_board_c
        if value is not None and value < IMPOSSIBLE_C and (board_c is None or value > board_c):
            board_c = value
    return chip_c, board_c


RULE = MachineRule(
    name="machine_hot",
    about="A machine's chips or boards near the temperature at which its firmware stops it.",
    gives="the hottest chip and board and the family's limits, °C",
    severity=Severity.CRITICAL,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=3),
    limits=Limits(),
    judge=judge,
)
