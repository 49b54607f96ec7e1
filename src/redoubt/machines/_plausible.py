"""Values that cannot be true: kept as claimed, marked, and told in a note."""

from __future__ import annotations

import msgspec

from redoubt.model.hardware import find_hardware
from redoubt.model.identity import parse_mac
from redoubt.model.status import MachineStatus, Note, Why

COLDEST_C, HOTTEST_C = -40.0, 150.0
MOST_WATTS = 25_000.0
MOST_OVER_NOMINAL = 2.0
"""Overclocking by immersion reaches about half above nominal; twice is out of reach."""
LEAST_J_PER_TH = 5.0
"""The best machines sold need about twice that (the rows of `model/hardware`)."""
MOST_RPM = 40_000


def mark_implausible(status: MachineStatus) -> tuple[Note, ...]:
    """Return a note for each value that cannot be true, and mark its source in `status.sources`."""
    notes = [
        note
        for check in (_hashrate, _boards, _power, _temperatures, _fans, _uptime, _identity)
        for note in check(status)
    ]
    for note in notes:
        source = None if note.field is None else status.sources.get(note.field)
        if source is not None and note.field is not None:
            status.sources[note.field] = msgspec.structs.replace(source, why=Why.IMPLAUSIBLE)
    return tuple(notes)


def _hashrate(status: MachineStatus) -> list[Note]:
    rate, nominal = status.hashrate_hs, status.hashrate_nominal_hs
    notes = []
    if rate is not None and rate < 0:
        notes.append(Note("hashrate_negative", "claims a negative hashrate", "hashrate_hs"))
    if rate and nominal and nominal > 0 and rate > MOST_OVER_NOMINAL * nominal:
        text = f"claims {rate / nominal:.0%} of its nominal hashrate"
        notes.append(Note("hashrate_over_nominal", text, "hashrate_hs"))
    rpms = [fan.rpm for fan in status.fans if fan.rpm is not None]
    if rate and rate > 0 and rpms and not any(rpms) and not _is_cooled_by_liquid(status):
        text = "claims to hash while every fan stands still"
        notes.append(Note("hashrate_without_fans", text, "hashrate_hs"))
    return notes


def _is_cooled_by_liquid(status: MachineStatus) -> bool:
    hardware = find_hardware(status.make, status.model)
    return hardware is not None and hardware.fans == 0


def _boards(status: MachineStatus) -> list[Note]:
    notes = []
    for board in status.boards:
        if board.hashrate_hs is not None and board.hashrate_hs < 0:
            text = f"board {board.index} claims a negative hashrate"
            notes.append(Note("hashrate_negative", text, "boards"))
        chips, expected = board.chips, board.chips_expected
        if chips is not None and chips < 0:
            notes.append(
                Note("chips_negative", f"board {board.index} claims {chips} chips", "boards")
            )
        if chips and expected and chips > expected:
            text = (
                f"board {board.index} claims {chips} of {expected} chips ({chips / expected:.0%})"
            )
            notes.append(Note("chips_over", text, "boards"))
    return notes


def _power(status: MachineStatus) -> list[Note]:
    watts, efficiency = status.power_w, status.efficiency_j_per_th
    if watts is not None and not 0 <= watts <= MOST_WATTS:
        return [Note("power_implausible", f"claims {watts:.0f} W", "power_w")]
    if efficiency is not None and efficiency < LEAST_J_PER_TH:
        text = f"claims to need {efficiency:.2g} J/TH, which no machine can"
        return [Note("efficiency_implausible", text, "power_w")]
    return []


def _temperatures(status: MachineStatus) -> list[Note]:
    readings = [("temp_inlet_c", "the inlet", status.temp_inlet_c)]
    for board in status.boards:
        readings.append(("boards", f"board {board.index}", board.temp_board_c))
        readings.append(("boards", f"the chips of board {board.index}", board.temp_chip_max_c))
    return [
        Note("temp_implausible", f"claims {value:.0f} °C at {place}", field)
        for field, place, value in readings
        if value is not None and not COLDEST_C <= value <= HOTTEST_C
    ]


def _fans(status: MachineStatus) -> list[Note]:
    return [
        Note("fan_implausible", f"fan {fan.index} claims {fan.rpm} rpm", "fans")
        for fan in status.fans
        if fan.rpm is not None and not 0 <= fan.rpm <= MOST_RPM
    ]


def _uptime(status: MachineStatus) -> list[Note]:
    if status.uptime_s is None or status.uptime_s >= 0:
        return []
    return [Note("uptime_negative", f"claims an uptime of {status.uptime_s} s", "uptime_s")]


def _identity(status: MachineStatus) -> list[Note]:
    if status.mac is None or parse_mac(status.mac) is not None:
        return []
    text = f"claims the MAC {status.mac}, which none can be: it is not used to tell machines apart"
    return [Note("mac_invalid", text, "mac")]
