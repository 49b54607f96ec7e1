"""What the replies of a WhatsMiner with API 3 mean. Hashrates are in TH/s."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from redoubt.machines._cgminer import pool_state
from redoubt.machines._driver import Field
from redoubt.machines._read import (
    MAX_BOARDS,
    MAX_ERRORS,
    MAX_POOLS,
    as_flag,
    as_float,
    as_hashrate,
    as_int,
    as_mapping,
    as_text,
    as_time,
    first,
    rows,
    soft,
)
from redoubt.machines._state import state_of
from redoubt.model.status import Fan, MachineFault, MachineState, MachineStatus, PoolStatus, Psu
from redoubt.model.units import TERA

_BOARD_SERIAL = re.compile(r"pcbsn(\d{1,2})")
_CODE = re.compile(r"\d{1,8}")


def _message(document: Any) -> Mapping[str, Any]:
    return as_mapping(as_mapping(document)["msg"])


def _info(part: str, *names: str) -> Callable[[Any], str | None]:
    return lambda document: as_text(first(as_mapping(_message(document)[part]), *names))


def _summary(document: Any) -> Mapping[str, Any]:
    return as_mapping(_message(document)["summary"])


def _hashrate_hs(document: Any) -> float | None:
    names = ("hash-realtime", "hash-1min", "hash-average")
    return as_hashrate(first(_summary(document), *names), TERA)


def _nominal_hs(document: Any) -> float | None:
    return as_hashrate(_summary(document).get("factory-hash"), TERA) or None


def _power_w(document: Any) -> float | None:
    return as_float(first(_summary(document), "power-realtime", "power-5min"))


def _inlet_c(document: Any) -> float | None:
    return as_float(_summary(document).get("environment-temperature"))


def _uptime_s(document: Any) -> int | None:
    return as_int(_summary(document).get("elapsed"))


def _clock_at(document: Any) -> datetime | None:
    return as_time(as_mapping(document).get("when"))


def _fans(document: Any) -> tuple[Fan, ...]:
    summary = _summary(document)
    readings = [soft(as_int, summary.get(f"fan-speed-{side}")) for side in ("in", "out")]
    return tuple(Fan(index, rpm) for index, rpm in enumerate(readings) if rpm is not None)


def _board_temperatures(document: Any) -> dict[int, float]:
    values = _summary(document)["board-temperature"]
    if not isinstance(values, list):
        raise TypeError("expected a list of temperatures")
    readings = [soft(as_float, value) for value in values[:MAX_BOARDS]]
    return {index: value for index, value in enumerate(readings) if value}


def _board_serials(document: Any) -> dict[int, str]:
    found = {}
    for key, value in as_mapping(_message(document)["miner"]).items():
        match = _BOARD_SERIAL.fullmatch(key)
        serial = soft(as_text, value) if match else None
        if match and serial and int(match.group(1)) < MAX_BOARDS:
            found[int(match.group(1))] = serial
    return found


def _board_column(convert: Callable[[Any], Any], *names: str) -> Callable[[Any], dict[int, Any]]:
    def read(document: Any) -> dict[int, Any]:
        found = {}
        for at, row in enumerate(rows(_message(document)["edevs"], MAX_BOARDS)):
            index = soft(as_int, first(row, "id", "slot"))
            value = soft(convert, first(row, *names))
            if value is not None:
                found[at if index is None else index] = value
        return found

    return read


def _terahashes(value: Any) -> float | None:
    return as_hashrate(value, TERA)


def _psu(document: Any) -> Psu | None:
    power = as_mapping(_message(document)["power"])
    psu = Psu(
        model=soft(as_text, first(power, "model", "type")),
        serial=soft(as_text, power.get("sn")),
        firmware=soft(as_text, power.get("swversion")),
        power_w=soft(as_float, power.get("pin")),
        fan_rpm=soft(as_int, power.get("fanspeed")),
        temp_c=soft(as_float, first(power, "temp0", "temp")),
    )
    return None if psu == Psu() else psu


def _pools(document: Any) -> tuple[PoolStatus, ...]:
    found = []
    for at, row in enumerate(rows(_message(document)["pools"], MAX_POOLS)):
        index = soft(as_int, first(row, "id", "pool-priority"))
        url = soft(as_text, row.get("url"))
        if url is None:
            continue
        is_active = soft(as_flag, row.get("stratum-active")) is True
        found.append(
            PoolStatus(
                index=at if index is None else index,
                url=url,
                user=soft(as_text, first(row, "account", "user")),
                state=pool_state(row.get("status"), is_active),
                accepted=soft(as_int, row.get("accepted")),
                rejected=soft(as_int, row.get("rejected")),
                stale=soft(as_int, row.get("stale")),
            )
        )
    return tuple(found)


def _faults(document: Any) -> tuple[MachineFault, ...]:
    """Return the listed errors. Each is {code: when, "reason": words}, or the code alone.

    `when` is by the machine's own clock and in no zone that it names, so it stays in the words.
    """
    listed = _message(document).get("error-code")
    if not isinstance(listed, list):
        return ()
    return tuple(fault for fault in map(_fault, listed[:MAX_ERRORS]) if fault is not None)


def _fault(entry: Any) -> MachineFault | None:
    if not isinstance(entry, dict):
        code = soft(as_text, entry)
        return MachineFault(code, "not told") if code else None
    code = next((key for key in entry if _CODE.fullmatch(key)), None)
    reason = soft(as_text, first(entry, "reason", "msg"))
    when = soft(as_text, entry.get(code)) if code else None
    if code is None and reason is None:
        return None
    words = reason or "not told"
    return MachineFault(code, f"{words} (at {when} by its own clock)" if when else words)


def read_state(docs: Mapping[str, Any], status: MachineStatus) -> MachineState:
    working = soft(_is_working, docs.get("get_device_info"))
    return state_of(status, is_sleeping=working is False)


def _is_working(document: Any) -> bool | None:
    return as_flag(as_mapping(_message(document)["miner"]).get("working"))


_INFO, _EDEVS = "get_device_info", "get_miner_status_edevs"
_SUMMARY, _POOLS = "get_miner_status_summary", "get_miner_status_pools"

FIELDS = (
    Field("model", ((_INFO, _info("miner", "type")),)),
    Field("firmware", ((_INFO, _info("system", "fwversion")),)),
    Field("serial", ((_INFO, _info("miner", "miner-sn")),)),
    Field("mac", ((_INFO, _info("network", "mac")),)),
    Field("control_board_serial", ((_INFO, _info("miner", "cb-sn", "cbsn")),)),
    Field("hostname", ((_INFO, _info("network", "hostname")),)),
    Field("hashrate_hs", ((_SUMMARY, _hashrate_hs),)),
    Field("hashrate_nominal_hs", ((_SUMMARY, _nominal_hs),)),
    Field("power_w", ((_SUMMARY, _power_w),)),
    Field("temp_inlet_c", ((_SUMMARY, _inlet_c),)),
    Field("uptime_s", ((_SUMMARY, _uptime_s),)),
    Field("clock_at", ((_SUMMARY, _clock_at), (_INFO, _clock_at))),
    Field("boards.hashrate_hs", ((_EDEVS, _board_column(_terahashes, "hash-realtime")),)),
    Field("boards.chips", ((_EDEVS, _board_column(as_int, "effective-chips")),)),
    Field("boards.temp_chip_max_c", ((_EDEVS, _board_column(as_float, "chip-temp-max")),)),
    Field("boards.temp_board_c", ((_SUMMARY, _board_temperatures),)),
    Field("boards.serial", ((_INFO, _board_serials),)),
    Field("fans", ((_SUMMARY, _fans),)),
    Field("psu", ((_INFO, _psu),)),
    Field("pools", ((_POOLS, _pools),)),
    Field("errors", ((_INFO, _faults),)),
)
