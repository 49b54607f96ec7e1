"""AxeOS documents: /api/system/info and /api/system/asic, as ESP-Miner's openapi.yaml has them.

Hashrate in GH/s, power in W, voltages in mV, current in mA. Flags are 0 and 1. Newer firmwares
also tell averages, the expected hashrate and what each chip does.
"""

from __future__ import annotations

from array import array
from typing import Any

import msgspec

from redoubt.world.shown import Shown

FREQUENCIES = [400, 425, 450, 475, 485, 490, 500, 525, 550, 575]
VOLTAGES = [1000, 1060, 1100, 1150, 1166, 1200, 1250]


def system_info(shown: Shown) -> bytes:
    model, board = shown.machine.model, shown.boards[0]
    primary, backup = shown.pools
    millivolts = 5060
    document: dict[str, Any] = {
        "power": _float32(shown.power_w),
        "voltage": float(millivolts),
        "current": round(shown.power_w / millivolts * 1e6, 2),
        "temp": round(board.temp_chip_c * 8) / 8,
        "vrTemp": round(board.temp_board_c + 6),
        "maxPower": 40,
        "nominalVoltage": 5,
        "hashRate": shown.hashrate_5s_hs / 1e9,
        "bestDiff": _short(shown.accepted * shown.difficulty // 2),
        "bestSessionDiff": _short(shown.accepted * shown.difficulty // 4),
        "stratumDiff": shown.difficulty,
        "isUsingFallbackStratum": 0,
        "isPSRAMAvailable": 1,
        "freeHeap": 8_380_000 - shown.uptime_s % 4096,
        "coreVoltage": 1150,
        "coreVoltageActual": 1144,
        "frequency": round(shown.frequency_mhz),
        "ssid": "virtual",
        "macAddr": shown.mac,
        "hostname": shown.hostname,
        "wifiStatus": "Connected!",
        "wifiRSSI": -52,
        "apEnabled": 0,
        "sharesAccepted": shown.accepted,
        "sharesRejected": shown.rejected,
        "sharesRejectedReasons": [],
        "uptimeSeconds": shown.uptime_s,
        "asicCount": max(board.chips, 0),
        "smallCoreCount": model.small_cores,
        "ASICModel": model.chip,
        "stratumURL": _host(primary.url),
        "fallbackStratumURL": _host(backup.url),
        "stratumPort": 3333,
        "fallbackStratumPort": 3333,
        "stratumUser": primary.user,
        "fallbackStratumUser": backup.user,
        "version": shown.machine.firmware.version,
        "idfVersion": shown.machine.firmware.api,
        "boardVersion": model.board_version,
        "runningPartition": "ota_0",
        "flipscreen": 1,
        "overheat_mode": 1 if shown.hot else 0,
        "invertscreen": 0,
        "invertfanpolarity": 1,
        "autofanspeed": 1,
        "fanspeed": round(shown.duty * 100),
        "fanrpm": shown.rpm[0],
    }
    if "new_api" in shown.machine.firmware.quirks:
        document |= _newer_fields(shown)
    return msgspec.json.encode(document)


def asic_info(shown: Shown) -> bytes:
    model = shown.machine.model
    document: dict[str, Any] = {
        "ASICModel": model.chip,
        "deviceModel": shown.reported_model,
        "swarmColor": "blue",
        "asicCount": model.chips_per_board,
        "defaultFrequency": model.frequency_mhz,
        "defaultVoltage": 1150,
        "frequencyOptions": FREQUENCIES,
        "voltageOptions": VOLTAGES,
    }
    return msgspec.json.encode(document)


def _newer_fields(shown: Shown) -> dict[str, Any]:
    board = shown.boards[0]
    return {
        "hashRate_1m": shown.hashrate_5s_hs / 1e9,
        "hashRate_10m": shown.hashrate_30m_hs / 1e9,
        "hashRate_1h": shown.hashrate_30m_hs / 1e9,
        "expectedHashrate": shown.nominal_hs / 1e9,
        "errorPercentage": 0.2,
        "temp2": -1,
        "temptarget": 60,
        "statsFrequency": 0,
        "responseTime": 38.5,
        "hashrateMonitor": {
            "asics": [{"total": board.hashrate_hs / 1e9, "errorCount": shown.hardware_errors}]
        },
    }


def _float32(value: float) -> float:
    """AxeOS keeps power in a C float and prints it as a double, digits and all."""
    return array("f", [value])[0]


def _host(url: str) -> str:
    return url.removeprefix("stratum+tcp://").partition(":")[0]


def _short(difficulty: int) -> str:
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if difficulty >= size:
            return f"{difficulty / size:.2f}{letter}"
    return str(difficulty)
