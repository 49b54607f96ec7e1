"""Hashboards or chips that the model has and that do no work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from redoubt.model.finding import Evidence, Severity
from redoubt.model.status import Board, MachineState
from redoubt.reconcile._evidence import machine_fact
from redoubt.reconcile._round import SiteRound, hardware_of
from redoubt.reconcile._rule import UNJUDGED, MachineRule, Trouble, Verdict
from redoubt.reconcile.views import MachineView


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`chip_share`: the part of a board's chips that must answer; firmwares run with a few lost.
    `sibling_share`: the same where nobody has counted the model's chips, by the machine's board
    with most of them; boards of one model are sold with up to a seventh fewer.
    """

    chip_share: float = 0.95
    sibling_share: float = 0.85


class _Short(msgspec.Struct, frozen=True):
    """A board with too few chips. `is_guess`: `expected` is what another board has."""

    board: int
    chips: int
    expected: int
    is_guess: bool


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
    short = _short_boards(status.boards, limits)
    return _chips_lost(machine, short) if short else None


def is_idle(board: Board) -> bool:
    """Whether a board does no work, as far as it says."""
    return board.chips == 0 or (board.hashrate_hs is not None and board.hashrate_hs <= 0)


def _short_boards(boards: Sequence[Board], limits: Limits) -> list[_Short]:
    # No board answers with more chips than it was built with, so the most is the best guess.
    most = max((board.chips or 0 for board in boards), default=0)
    short = []
    for board in boards:
        expected, share = board.chips_expected, limits.chip_share
        if not expected:
            expected, share = most, limits.sibling_share
        if board.chips is not None and board.chips < share * expected:
            is_guess = not board.chips_expected
            short.append(_Short(board.index, board.chips, expected, is_guess))
    return short


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


def _chips_lost(machine: MachineView, short: list[_Short]) -> Trouble:
    lost = sum(board.expected - board.chips for board in short)
    about = "about " if any(board.is_guess for board in short) else ""
    names = ", ".join(str(board.board) for board in short)
    title = f"{about}{lost} chips do not answer on board {names}"
    facts = tuple(_chips_fact(machine, board) for board in short)
    return Trouble(Severity.MEDIUM, title, "chips_lost", facts)


def _chips_fact(machine: MachineView, short: _Short) -> Evidence:
    if short.is_guess:
        return machine_fact(
            machine,
            f"board {short.board}: {short.chips} chips answer, {short.expected} on another board",
            board=short.board,
            chips=short.chips,
            chips_of_sibling=short.expected,
        )
    return machine_fact(
        machine,
        f"board {short.board}: {short.chips} of {short.expected} chips answer",
        board=short.board,
        chips=short.chips,
        chips_expected=short.expected,
    )


RULE = MachineRule(
    name="board_lost",
    about="Fewer hashboards work than the model has, or a board answers with too few chips.",
    gives=(
        "boards that work and boards expected, or chips that answer and chips expected: where the "
        "model's count is not known, those of the machine's fullest board"
    ),
    severity=Severity.HIGH,
    hold_on=timedelta(seconds=30),
    hold_off=timedelta(minutes=2),
    limits=Limits(),
    judge=judge,
)
