"""Replies of the three families, written from their documentation, and how to parse them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from redoubt.machines import Failure, Reply, parse_status
from redoubt.model.status import MachineStatus

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def parse(family: str, documents: Mapping[str, Any]) -> MachineStatus:
    """Parse documents by call name: bytes as they are, Failures as they are, the rest as JSON."""
    replies: dict[str, Reply | Failure] = {}
    for name, document in documents.items():
        if isinstance(document, Failure):
            replies[name] = document
        elif isinstance(document, bytes):
            replies[name] = Reply(document, NOW)
        else:
            replies[name] = Reply(json.dumps(document).encode(), NOW)
    return parse_status(family, replies, NOW, address="10.0.0.7")


def no_reply(text: str = "no reply within 5 s") -> Failure:
    return Failure("no_reply", text, NOW)


def needs_auth() -> Failure:
    return Failure("needs_auth", "no password was given for this machine", NOW)


def old_stats(**changes: Any) -> dict[str, Any]:
    """Return `stats` in the old dialect of an S19j Pro with three boards."""
    readings: dict[str, Any] = {
        "STATS": 0,
        "ID": "BTM_SOC0",
        "Elapsed": 3600,
        "GHS 5s": "104210.55",
        "fan_num": 4,
        "rate_unit": "GH",
        "total_rateideal": 104000.0,
        "miner_count": 3,
    }
    for fan in (1, 2, 3, 4):
        readings[f"fan{fan}"] = 5000 + fan
    for chain in (1, 2, 3):
        readings |= {
            f"chain_acn{chain}": 126,
            f"chain_acs{chain}": " oooooooo oooooooo",
            f"chain_rate{chain}": "34736.85",
            f"temp{chain}": 60,
            f"temp2_{chain}": 70,
            f"temp_pcb{chain}": "45-42-60-57",
            f"temp_chip{chain}": "60-62-75-77",
        }
    versions = {"BMMiner": "2.0.0", "CompileTime": "Sat May 22 2021", "Type": "Antminer S19j Pro"}
    return {
        "STATUS": [{"STATUS": "S", "When": 1795240800, "Code": 70}],
        "STATS": [versions, readings | changes],
        "id": 1,
    }


def new_stats(**changes: Any) -> dict[str, Any]:
    """Return `stats` in the new dialect of an S21 with three boards."""
    chains = [
        {
            "index": index,
            "rate_real": 66000.5,
            "asic_num": 108,
            "temp_pcb": [50, 48, 61, 60],
            "temp_pic": [40, 38, 51, 50],
            "temp_chip": [60, 58, 74, 71],
            "sn": f"SN{index}",
        }
        for index in range(3)
    ]
    readings = {
        "elapsed": 7200,
        "rate_5s": 198001.5,
        "rate_ideal": 200000.0,
        "rate_unit": "GH/s",
        "fan_num": 4,
        "fan": [5880, 5820, 0, 5760],
        "chain": chains,
    }
    return {
        "STATUS": {"STATUS": "S", "when": 1795240800},
        "INFO": {"CompileTime": "Thu Jul 18 2024", "type": "Antminer S21"},
        "STATS": [readings | changes],
    }


def antminer(**changes: Any) -> dict[str, Any]:
    """Return all replies of a stock Antminer; those named in `changes` are replaced."""
    replies: dict[str, Any] = {
        "stats": old_stats(),
        "summary": {"SUMMARY": [{"Elapsed": 3600, "GHS 5s": 104210.55, "GHS av": "104000.1"}]},
        "pools": {
            "POOLS": [
                {
                    "POOL": at,
                    "URL": f"stratum+tcp://pool{at}.example:3333",
                    "User": f"account.{at}",
                    "Status": "Alive" if at < 2 else "Dead",
                    "Priority": at,
                    "Accepted": 10 * at,
                    "Rejected": at,
                    "Stale": 0,
                    "Stratum Active": at == 1,
                }
                for at in range(3)
            ]
        },
        "version": {"VERSION": [{"Type": "Antminer S19j Pro", "CompileTime": "Sat May 22 2021"}]},
        "system_info": {
            "minertype": "Antminer S19j Pro",
            "serinum": "SMTTXYZ",
            "macaddr": "02:11:22:33:44:55",
            "hostname": "rack-3",
            "system_filesystem_version": "FR-1.2",
        },
    }
    return replies | changes


def whatsminer(**changes: Any) -> dict[str, Any]:
    """Return all replies of a WhatsMiner with API 3; parts of messages named are replaced."""
    info: dict[str, Any] = {
        "miner": {"type": "M60S_VK40", "miner-sn": "WSN1", "pcbsn0": "B0", "pcbsn1": "B1"},
        "network": {"mac": "02:aa:bb:cc:dd:ee", "hostname": "WhatsMiner"},
        "power": {"model": "P221B", "sn": "P1", "swversion": "2302", "fanspeed": 6300},
        "system": {"fwversion": "20251209.16.Rel2"},
        "error-code": [],
    }
    summary = {
        "hash-realtime": 171.5,
        "factory-hash": 181.0,
        "power-realtime": 3156.0,
        "elapsed": 5000,
        "environment-temperature": 28.5,
        "board-temperature": [41.1, 40.1],
        "fan-speed-in": 5400,
        "fan-speed-out": 5280,
    }
    edevs = [
        {"id": at, "hash-realtime": 85.7, "effective-chips": 75, "chip-temp-max": 80.0 + at}
        for at in (0, 1)
    ]
    pools = [
        {"url": "stratum+tcp://a.example:1", "account": "x", "status": "alive"},
        {"url": "stratum+tcp://b.example:2", "status": "alive", "stratum-active": True},
    ]
    parts = {"info": info, "summary": summary, "edevs": edevs, "pools": pools} | changes
    return {
        "get_device_info": {"when": 1795240800, "desc": "get.device.info", "msg": parts["info"]},
        "get_miner_status_summary": {"when": 1795240801, "msg": {"summary": parts["summary"]}},
        "get_miner_status_edevs": {"msg": {"edevs": parts["edevs"]}},
        "get_miner_status_pools": {"msg": {"pools": parts["pools"]}},
    }


def axeos(**changes: Any) -> dict[str, Any]:
    """Return the replies of a Bitaxe Gamma with a recent AxeOS; a change to None drops the key."""
    info: dict[str, Any] = {
        "ASICModel": "BM1370",
        "deviceModel": "Gamma",
        "boardVersion": "601",
        "hashRate": 1071.5,
        "expectedHashrate": 1071,
        "power": 17.25,
        "temp": 58.5,
        "temp2": -1,
        "vrTemp": 52,
        "fanrpm": 4200,
        "fan2rpm": 0,
        "asicCount": 1,
        "uptimeSeconds": 900,
        "macAddr": "02:00:00:00:00:01",
        "hostname": "bitaxe",
        "version": "v2.9.0",
        "bestDiff": "4.29G",
        "sharesAccepted": 12,
        "sharesRejected": 1,
        "stratumURL": "pool.example",
        "stratumPort": 3333,
        "stratumUser": "a.w",
        "fallbackStratumURL": "backup.example",
        "fallbackStratumPort": 3334,
        "fallbackStratumUser": "b.w",
        "isUsingFallbackStratum": 0,
        "overheat_mode": 0,
    }
    info |= changes
    return {"system_info": {key: value for key, value in info.items() if value is not None}}
