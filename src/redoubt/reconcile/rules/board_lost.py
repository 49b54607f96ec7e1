"""Hashboards or chips that the model has and that do no work."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from redoubt.model.finding import Severity
from redoubt.model.status import Board, MachineState
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound, hardware_of
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`chip_share`: the part of a board's chips that must answer; firmwares run with a few lost."""

    chip_share: float = 0.95


def judge(machine: MachineView, _around: SiteRound, limits: Limits) -> Verdict:
    status = machine.status
    if status is None or not status.boards:
        return UNJUDGED
    if status.state not in (MachineState.HASHING, MachineState.DEGRADED):
        return UNJUDGED
    idle = [board for board in status.boards if is_idle(board)]
    hardware = hardware_of(status)
    built_with = max(len(status.boards), (hardware and hardware.boards) or 0)
    working = len(status.boards) - len(idle)
    if working == 0:
        # All of them at once is `machine_not_hashing`.
        return UNJUDGED
    if working < built_with:
        return _boards_lost(machine, idle, working, built_with)
    short = [board for board in status.boards if _is_short(board, limits.chip_share)]
    return _chips_lost(machine, short) if short else None


def is_idle(board: Board) -> bool:
    """Whether a board does no work, as far as it says."""
    return board.chips == 0 or (board.hashrate_hs is not None and board.hashrate_hs <= 0)


def _is_short(board: Board, share: float) -> bool:
    if board.chips is None or not board.chips_expected:
        return False
    return board.chips < share * board.chips_expected


def _boards_lost(machine: MachineView, idle: list[Board], working: int, built_with: int) -> Trouble:
    names = ", ".join(str(board.index) for board in idle)
    which = f" (board {names} idle)" if idle else ""
    fact = machine_fact(
        machine,
        f"{working} of {built_with} boards work{which}",
        boards_working=working,
        boards_expected=built_with,
        serials=", ".join(board.serial for board in idle if board.serial) or None,
    )
    title = f"{built_with - working} of {built_with} hashboards lost{which}"
    return Trouble(Severity.HIGH, title, "board_lost", (fact,))


def _chips_lost(machine: MachineView, short: list[Board]) -> Trouble:
    lost = sum((board.chips_expected or 0) - (board.chips or 0) for board in short)
    facts = tuple(
        machine_fact(
            machine,
            f"board {board.index}: {board.chips} of {board.chips_expected} chips answer",
            board=board.index,
            chips=board.chips,
            chips_expected=board.chips_expected,
        )
        for board in short
    )
    names = ", ".join(str(board.index) for board in short)
    title = f"{lost} chips do not answer on board {names}"
    return Trouble(Severity.MEDIUM, title, "chips_lost", facts)


RULE = MachineRule(
    name="board_lost",
    about="Fewer hashboards work than the model has, or a board answers with too few chips.",
    gives="boards that work and boards expected, or chips that answer and chips expected",
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
)
