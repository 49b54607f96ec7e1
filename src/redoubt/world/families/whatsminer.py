"""WhatsMiner API v3 documents: hashrates in TH/s, names with dashes, numbers now as text, now not.

Codes as the maker's documentation gives them: 0 done, -1 failed, -2 unknown command, -3 parameter
missing or wrong, -4 no permission.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from redoubt.world.shown import Shown

DEVICE_SECTIONS = ("network", "miner", "system", "power", "salt", "error-code")
STATUS_SECTIONS = ("summary", "pools", "edevs")


def answer(shown: Shown, request: bytes) -> bytes:
    """Return the reply to one request body, without its length."""
    try:
        document = msgspec.json.decode(request, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return _reply(shown, -1, "json decode error", "")
    command, parameter = document.get("cmd"), document.get("param")
    if not isinstance(command, str):
        return _reply(shown, -3, "param null", "")
    if command == "get.device.info":
        return _device_info(shown, parameter)
    if command == "get.miner.status":
        return _miner_status(shown, parameter)
    if command.startswith("set."):
        return _reply(shown, -4, "no permission", command)
    return _reply(shown, -2, "invalid command", command)


def _device_info(shown: Shown, parameter: object) -> bytes:
    sections = _device_sections(shown)
    if parameter is None:
        return _reply(shown, 0, sections, "get.device.info")
    if parameter not in DEVICE_SECTIONS:
        return _reply(shown, -3, "param error", "get.device.info")
    chosen = {parameter: sections.get(str(parameter), [])}
    return _reply(shown, 0, chosen, "get.device.info")


def _miner_status(shown: Shown, parameter: object) -> bytes:
    """Sections may be joined by `+`; without any, the reply is empty."""
    makers = {"summary": _summary, "pools": _pools, "edevs": _edevs}
    names = parameter.split("+") if isinstance(parameter, str) else []
    if any(name not in makers for name in names):
        return _reply(shown, -3, "param error", "get.miner.status")
    return _reply(shown, 0, {name: makers[name](shown) for name in names}, "get.miner.status")


def _device_sections(shown: Shown) -> dict[str, Any]:
    machine, model = shown.machine, shown.machine.model
    boards = shown.boards
    hash_board = model.reported.rpartition("_V")[2]
    miner: dict[str, Any] = {
        "working": "true" if shown.hashing else "false",
        "type": shown.reported_model,
        "hash-board": hash_board,
        "detect-hash-rate": ":".join(
            f"{round(shown.nominal_hs / len(boards) / 1e9)}" for _board in boards
        ),
        "pool-strategy": "FAILOVER",
        "hash-percent": "0",
        "fast-boot": "disable",
        "board-num": str(sum(board.answers for board in boards)),
        "miner-sn": shown.serial,
    }
    for board in boards:
        miner[f"pcbsn{board.index}"] = board.serial if board.answers else ""
        miner[f"chipdata{board.index}"] = f"VIRTUAL-{hash_board}" if board.answers else ""
    sections: dict[str, Any] = {
        "network": {
            "ip": shown.address,
            "proto": "dhcp",
            "netmask": "255.0.0.0",
            "dns": "127.0.0.1",
            "mac": shown.mac,
            "gateway": "127.0.0.1",
            "hostname": shown.hostname,
        },
        "miner": miner,
        "system": {
            "api": machine.firmware.api,
            "platform": "H616",
            "fwversion": machine.firmware.version,
            "control-board-version": "CB6V10",
            "apiswitch": "1",
            "ledstatus": "auto",
        },
        "power": {
            "type": model.psu_model,
            "model": model.psu_model,
            "mode": "1",
            "vendor": "1",
            "hwversion": "V01.00",
            "swversion": "V01.02",
            "sn": machine.psu_serial,
            "fanspeed": round(6000 * shown.duty),
        },
        "salt": _salt(machine.mac),
    }
    errors = _errors(shown)
    if errors:
        sections["error-code"] = errors
    return sections


def _summary(shown: Shown) -> dict[str, Any]:
    chips = [board.temp_chip_c for board in shown.boards]
    return {
        "elapsed": shown.uptime_s,
        "bootup-time": shown.uptime_s + 90,
        "freq-avg": round(shown.frequency_mhz),
        "target-freq": shown.machine.model.frequency_mhz,
        "factory-hash": _ths(shown.nominal_hs),
        "hash-average": _ths(shown.hashrate_avg_hs),
        "hash-1min": _ths(shown.hashrate_5s_hs),
        "hash-15min": _ths(shown.hashrate_30m_hs),
        "hash-realtime": _ths(shown.hashrate_5s_hs),
        "power-rate": _per_th(shown.power_w, shown.hashrate_5s_hs),
        "power-5min": round(shown.power_w, 1),
        "power-realtime": float(round(shown.power_w)),
        "power-limit": round(shown.machine.model.power_w * 1.1),
        "environment-temperature": round(shown.temp_inlet_c, 1),
        "board-temperature": [round(board.temp_board_c, 1) for board in shown.boards],
        "chip-temp-min": round(min(chips) - 11, 1),
        "chip-temp-avg": round(sum(chips) / len(chips) - 5, 1),
        "chip-temp-max": round(max(chips), 1),
        "fan-speed-in": shown.rpm[0],
        "fan-speed-out": shown.rpm[-1],
        "up-freq-finish": 1 if shown.hashing else 0,
        "Debug": "",
    }


def _pools(shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "id": index + 1,
            "url": pool.url,
            "account": pool.user,
            "status": "alive",
            "pool-priority": index,
            "stratum-active": pool.active,
            "accepted": pool.accepted,
            "rejected": pool.rejected,
            "stale": pool.stale,
            "difficulty": float(shown.difficulty),
            "reject-rate": round(pool.rejected / max(pool.accepted, 1), 4),
            "last-share-time": float(shown.at - 4) if pool.active else 0.0,
        }
        for index, pool in enumerate(shown.pools)
    ]


def _edevs(shown: Shown) -> list[dict[str, Any]]:
    share = shown.hashrate_avg_hs / len(shown.boards)
    return [
        {
            "id": board.index,
            "slot": board.index,
            "status": "alive" if board.answers else "dead",
            "hash-average": _ths(share) if board.answers else 0.0,
            "hash-realtime": _ths(board.hashrate_hs),
            "factory-hash": _ths(shown.nominal_hs / len(shown.boards)),
            "freq": float(round(shown.frequency_mhz)) if board.answers else 0.0,
            "effective-chips": board.chips,
            "chip-temp-min": round(board.temp_chip_c - 11, 1),
            "chip-temp-avg": round(board.temp_chip_c - 5, 1),
            "chip-temp-max": round(board.temp_chip_c, 1),
        }
        for board in shown.boards
    ]


def _errors(shown: Shown) -> list[dict[str, str]]:
    """Return faults by the maker's codes, with the time at which they were last seen."""
    at = datetime.fromtimestamp(shown.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    found = [
        (str(110 + fan), f"Fan{'in' if fan == 0 else 'out'} detect speed error.")
        for fan in shown.dead_fans
    ]
    found += [
        (str(530 + board.index), f"Slot{board.index} not found.")
        for board in shown.boards
        if not board.answers
    ]
    if shown.hot:
        found.append(("350", "SM0 temperature protecting."))
    return [{code: at, "reason": reason} for code, reason in found]


def _reply(shown: Shown, code: int, message: object, command: str) -> bytes:
    return msgspec.json.encode({"code": code, "when": shown.at, "msg": message, "desc": command})


def _salt(mac: str) -> str:
    """Return the salt that tokens are made with; one per machine, as the firmware keeps it."""
    return hashlib.sha256(mac.encode()).hexdigest()[:8]


def _ths(hashrate_hs: float) -> float:
    return round(hashrate_hs / 1e12, 3)


def _per_th(power_w: float, hashrate_hs: float) -> float:
    return round(power_w / (hashrate_hs / 1e12), 1) if hashrate_hs > 0 else 0.0
