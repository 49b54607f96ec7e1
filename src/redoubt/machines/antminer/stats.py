"""The reply to `stats`, in which everything of boards and fans stands, in two dialects.

Old: a list whose second entry has keys with the chain's number at their end (`chain_rate1`,
`temp_chip1` as "60-62-75-77", `fan1`). New: one entry with lists (`chain`, `fan`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from redoubt.machines._cgminer import section
from redoubt.machines._read import (
    MAX_BOARDS,
    MAX_FANS,
    MAX_SENSORS,
    as_float,
    as_hashrate,
    as_int,
    as_text,
    first,
    hashrate_unit_hs,
    hottest,
    rows,
    soft,
)
from redoubt.model.hardware import find_hardware
from redoubt.model.status import Board, Fan
from redoubt.model.units import GIGA, MEGA

_NUMBERED = re.compile(r"(chain_acn|chain_rate|fan)(\d{1,2})")
_MOST_BOARDS_BUILT = 3
"""Of a model that no table knows, up to so many slots are taken to be boards."""
_RATES = (("GHS 5s", GIGA), ("GHS av", GIGA), ("MHS 5s", MEGA), ("MHS av", MEGA))
_READINGS = ("chain", "fan", "fan_num", "fan1", "chain_rate1", "chain_acn1", "temp_max", "Elapsed")
_WATTS = re.compile(r"\s*(-?\d+(?:\.\d+)?)")
_READING = re.compile(r"(?:^|-)(-?\d+(?:\.\d+)?)")


def boards(document: Any) -> tuple[Board, ...]:
    entry = _entry(document)
    unit = hashrate_unit_hs(entry.get("rate_unit"), GIGA)
    if "chain" in entry:
        chains = rows(entry["chain"], MAX_BOARDS)
        return tuple(_new_board(at, chain, unit) for at, chain in enumerate(chains))
    numbers = _numbers(entry, "chain_acn") or _numbers(entry, "chain_rate")
    found = tuple(_old_board(entry, number, unit) for number in numbers[:MAX_BOARDS])
    return _without_empty_slots(found, _boards_built(document))


def _boards_built(document: Any) -> int | None:
    """Return how many boards the model has, which the old dialect names in its first entry."""
    kinds = (first(entry, "Type", "type") for entry in section(document, "STATS"))
    kind = soft(as_text, next((each for each in kinds if each is not None), None))
    hardware = find_hardware("Bitmain", kind)
    return None if hardware is None else hardware.boards


def _without_empty_slots(found: tuple[Board, ...], built: int | None) -> tuple[Board, ...]:
    """Return the boards among the slots: firmwares list 3, 4 or 16, and leave empty ones at 0.

    An empty slot is a lost board as long as the model was built with more than are left.
    """
    standing = [board for board in found if board.chips or board.hashrate_hs]
    empty = [board for board in found if board not in standing]
    lost = empty[: max(0, (len(found) if built is None else built) - len(standing))]
    if built is None and len(found) > _MOST_BOARDS_BUILT:
        lost = []
    return tuple(board for board in found if board in standing or board in lost)


def fans(document: Any) -> tuple[Fan, ...]:
    entry = _entry(document)
    listed = entry.get("fan")
    if isinstance(listed, list):
        readings = [soft(as_int, value) for value in listed[:MAX_FANS]]
        return tuple(Fan(index, rpm) for index, rpm in enumerate(readings))
    numbers = _numbers(entry, "fan")[:MAX_FANS]
    found = [Fan(number - 1, soft(as_int, entry[f"fan{number}"])) for number in numbers]
    count = soft(as_int, entry.get("fan_num"))
    if count is None or not 0 <= count < len(found):
        return tuple(found)
    # More sockets than fans: those that turn are fans, and if too few turn, the first that do not.
    turning = sorted(found, key=lambda fan: not fan.rpm)[
        : max(count, sum(bool(f.rpm) for f in found))
    ]
    return tuple(sorted(turning, key=lambda fan: fan.index))


def claimed_hashrate_hs(entry: Mapping[str, Any]) -> float | None:
    """Return the shortest average that a summary or a stats entry has, in either dialect."""
    for name, unit in _RATES:
        if (rate := as_hashrate(entry.get(name), unit)) is not None:
            return rate
    unit = hashrate_unit_hs(entry.get("rate_unit"), GIGA)
    return as_hashrate(first(entry, "rate_5s", "rate_avg"), unit)


def stats_hashrate_hs(document: Any) -> float | None:
    return claimed_hashrate_hs(_entry(document))


def nominal_hs(document: Any) -> float | None:
    """Return the hashrate that the firmware calls ideal, or None where it is 0 or not told."""
    entry = _entry(document)
    unit = hashrate_unit_hs(entry.get("rate_unit"), GIGA)
    return as_hashrate(first(entry, "rate_ideal", "total_rateideal"), unit) or None


def claimed_power_w(document: Any) -> float | None:
    """Return the watts of the firmwares that tell them, as a number or as "3021.5 (AB)"."""
    value = first(_entry(document), "chain_power", "total_power", "power")
    if isinstance(value, str):
        match = _WATTS.match(value[:64])
        value = match.group(1) if match else None
    return as_float(value) or None


def stats_uptime_s(document: Any) -> int | None:
    return as_int(first(_entry(document), "Elapsed", "elapsed"))


def is_asleep(document: Any) -> bool:
    """Whether the new dialect names the work mode 1, which is sleep."""
    try:
        return soft(as_int, _entry(document).get("miner-mode")) == 1
    except (LookupError, TypeError):
        return False


def _entry(document: Any) -> Mapping[str, Any]:
    """Return the entry with the readings; the old dialect puts one with versions beside it."""
    entries = section(document, "STATS")
    return next(
        (entry for entry in entries if any(name in entry for name in _READINGS)), entries[-1]
    )


def _numbers(entry: Mapping[str, Any], stem: str) -> list[int]:
    found = []
    for key in entry:
        match = _NUMBERED.fullmatch(key)
        if match is not None and match.group(1) == stem:
            found.append(int(match.group(2)))
    return sorted(found)


def _old_board(entry: Mapping[str, Any], number: int, unit: float) -> Board:
    chip = _readings(entry.get(f"temp_chip{number}")) or [entry.get(f"temp2_{number}")]
    board = _readings(entry.get(f"temp_pcb{number}")) or [entry.get(f"temp{number}")]
    return Board(
        index=number - 1,
        serial=soft(as_text, first(entry, f"chain_sn{number}", f"sn{number}")),
        hashrate_hs=soft(lambda value: as_hashrate(value, unit), entry.get(f"chain_rate{number}")),
        chips=soft(as_int, entry.get(f"chain_acn{number}")),
        temp_board_c=hottest(board),
        temp_chip_max_c=hottest(chip),
    )


def _new_board(at: int, chain: Mapping[str, Any], unit: float) -> Board:
    index = soft(as_int, chain.get("index"))
    return Board(
        index=at if index is None else index,
        serial=soft(as_text, chain.get("sn")),
        hashrate_hs=soft(lambda value: as_hashrate(value, unit), chain.get("rate_real")),
        chips=soft(as_int, chain.get("asic_num")),
        temp_board_c=hottest(_readings(first(chain, "temp_pcb", "temp_pic"))),
        temp_chip_max_c=hottest(_readings(chain.get("temp_chip"))),
    )


def _readings(value: Any) -> list[Any]:
    """Return the sensors in a list, in "60-62-75-77", or in one number."""
    if isinstance(value, list):
        return value[:MAX_SENSORS]
    if isinstance(value, str):
        return _READING.findall(value[: 8 * MAX_SENSORS])
    return [] if soft(as_float, value) is None else [value]
