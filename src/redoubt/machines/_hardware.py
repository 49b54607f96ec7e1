"""Filling gaps from the makers' tables; what comes from there says so."""

from __future__ import annotations

from typing import Any

import msgspec

from redoubt.model.hardware import find_hardware
from redoubt.model.status import PowerKind, Source

HARDWARE = Source("hardware")
_MOST_OVER_NOMINAL = 1.25


def fill_from_hardware(values: dict[str, Any], sources: dict[str, Source]) -> None:
    """Add nominal hashrate, chips expected and estimated watts where the machine says none.

    The estimate is the model's joules per terahash times the hashrate that the machine claims, so
    a machine with a lost board is not charged for it. None while it hashes nothing: what a model
    draws then is in no table.
    """
    hardware = find_hardware(
        values.get("make"), values.get("model"), values.get("hashrate_nominal_hs")
    )
    if hardware is None:
        return
    if "hashrate_nominal_hs" not in values and hardware.hashrate_nominal_hs:
        values["hashrate_nominal_hs"] = hardware.hashrate_nominal_hs
        sources["hashrate_nominal_hs"] = HARDWARE
    chips = hardware.chips_per_board
    boards = values.get("boards", ())
    if chips is not None and any(board.chips_expected is None for board in boards):
        values["boards"] = tuple(
            msgspec.structs.replace(board, chips_expected=chips)
            if board.chips_expected is None
            else board
            for board in boards
        )
        sources.setdefault("boards.chips_expected", HARDWARE)
    hashrate = values.get("hashrate_hs")
    if "power_w" in values or not hashrate or hashrate < 0:
        return
    if hardware.power_w and hardware.hashrate_nominal_hs:
        share = min(hashrate / hardware.hashrate_nominal_hs, _MOST_OVER_NOMINAL)
        values["power_w"] = round(hardware.power_w * share, 1)
        values["power_kind"] = PowerKind.ESTIMATED
        sources["power_w"] = HARDWARE
