"""What the replies of AxeOS mean, in every version by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redoubt.machines._driver import Field
from redoubt.machines._read import (
    as_flag,
    as_float,
    as_hashrate,
    as_int,
    as_mapping,
    as_text,
    first,
    soft,
)
from redoubt.machines._state import state_of
from redoubt.model.hardware import Hardware, find_hardware
from redoubt.model.status import (
    Board,
    Fan,
    MachineFault,
    MachineState,
    MachineStatus,
    PoolState,
    PoolStatus,
)
from redoubt.model.units import GIGA

MAKE = "Bitaxe"


def _text(*names: str) -> Any:
    return lambda document: as_text(first(as_mapping(document), *names))


def _hardware(info: Mapping[str, Any]) -> Hardware | None:
    """Return the model's table row, by its name or, before 2.5, by its board version."""
    return find_hardware(MAKE, soft(as_text, first(info, "deviceModel", "boardVersion")))


def _make(document: Any) -> str | None:
    """Return Bitaxe where the tables know the model: other makers run AxeOS too."""
    return MAKE if _hardware(as_mapping(document)) else None


def _model(document: Any) -> str | None:
    info = as_mapping(document)
    hardware = _hardware(info)
    return hardware.model if hardware else as_text(info.get("deviceModel"))


def _hashrate_hs(document: Any) -> float | None:
    """Return the firmware's own average, which every version calls `hashRate`."""
    return as_hashrate(first(as_mapping(document), "hashRate", "hashRate_1m"), GIGA)


def _nominal_hs(document: Any) -> float | None:
    return as_hashrate(as_mapping(document).get("expectedHashrate"), GIGA) or None


def _power_w(document: Any) -> float | None:
    return as_float(as_mapping(document).get("power"))


def _uptime_s(document: Any) -> int | None:
    return as_int(as_mapping(document).get("uptimeSeconds"))


def _boards(document: Any) -> tuple[Board, ...]:
    """Return the one board there is. `temp` is the chip's sensor and -1 stands for none."""
    info = as_mapping(document)
    sensors = [soft(as_float, info.get(name)) for name in ("temp", "temp2")]
    known = [reading for reading in sensors if reading is not None and reading not in (0, -1)]
    board = Board(
        index=0,
        hashrate_hs=soft(_hashrate_hs, info),
        chips=_chips_answering(info),
        chips_expected=soft(as_int, info.get("asicCount")),
        temp_board_c=soft(as_float, info.get("vrTemp")) or None,
        temp_chip_max_c=max(known, default=None),
    )
    return () if board == Board(index=0) else (board,)


def _chips_answering(info: Mapping[str, Any]) -> int | None:
    """Return the chips that hash, which versions since 2.10 list; `asicCount` is what was built."""
    monitor = info.get("hashrateMonitor")
    asics = monitor.get("asics") if isinstance(monitor, dict) else None
    if not isinstance(asics, list):
        return None
    totals = [soft(as_float, asic.get("total")) for asic in asics[:64] if isinstance(asic, dict)]
    return sum(total is not None and total > 0 for total in totals)


def _fans(document: Any) -> tuple[Fan, ...]:
    """Return the first fan, and the second where there is one: single-fan boards send 0 for it."""
    info = as_mapping(document)
    found = []
    rpm = soft(as_int, info.get("fanrpm"))
    if rpm is not None:
        found.append(Fan(0, rpm))
    second = soft(as_int, info.get("fan2rpm"))
    hardware = _hardware(info)
    if second or (second == 0 and hardware is not None and (hardware.fans or 0) > 1):
        found.append(Fan(1, second))
    return tuple(found)


def _pools(document: Any) -> tuple[PoolStatus, ...]:
    """Return the pool and its fallback; the machine's one count of shares goes to that in use."""
    info = as_mapping(document)
    on_fallback = soft(as_flag, info.get("isUsingFallbackStratum"))
    has_fallback = soft(as_text, info.get("fallbackStratumURL")) is not None
    in_use = 1 if on_fallback else 0
    is_told = on_fallback is not None or not has_fallback
    found = []
    for index, prefix in enumerate(("stratum", "fallbackStratum")):
        host = soft(as_text, info.get(f"{prefix}URL"))
        if host is None:
            continue
        is_in_use = index == in_use
        found.append(
            PoolStatus(
                index=index,
                url=_pool_url(info, prefix, host),
                user=soft(as_text, info.get(f"{prefix}User")),
                state=PoolState.ACTIVE if is_in_use and is_told else PoolState.UNKNOWN,
                accepted=soft(as_int, info.get("sharesAccepted")) if is_in_use else None,
                rejected=soft(as_int, info.get("sharesRejected")) if is_in_use else None,
            )
        )
    return tuple(found)


def _pool_url(info: Mapping[str, Any], prefix: str, host: str) -> str:
    if "://" in host:
        return host
    scheme = "stratum+ssl" if soft(as_int, info.get(f"{prefix}TLS")) else "stratum+tcp"
    port = soft(as_int, info.get(f"{prefix}Port"))
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def _faults(document: Any) -> tuple[MachineFault, ...]:
    info = as_mapping(document)
    found = []
    if soft(as_flag, info.get("overheat_mode")):
        found.append(MachineFault("overheat_mode", "stopped itself because it was too hot"))
    for name in ("power_fault", "hardware_fault"):
        text = soft(as_text, info.get(name))
        if text and text.lower() not in ("0", "none", "false"):
            found.append(MachineFault(name, text))
    return tuple(found)


def read_state(docs: Mapping[str, Any], status: MachineStatus) -> MachineState:
    info = docs.get("system_info")
    paused = first(info, "miningPaused", "isPaused") if isinstance(info, dict) else None
    return state_of(status, is_sleeping=soft(as_flag, paused) is True)


FIELDS = (
    Field("make", (("asic_info", _make), ("system_info", _make))),
    Field("model", (("asic_info", _model), ("system_info", _model))),
    Field("firmware", (("system_info", _text("version", "axeOSVersion")),)),
    Field("mac", (("system_info", _text("macAddr", "mac")),)),
    Field("hostname", (("system_info", _text("hostname")),)),
    Field("hashrate_hs", (("system_info", _hashrate_hs),)),
    Field("hashrate_nominal_hs", (("system_info", _nominal_hs),)),
    Field("power_w", (("system_info", _power_w),)),
    Field("uptime_s", (("system_info", _uptime_s),)),
    Field("boards", (("system_info", _boards),)),
    Field("fans", (("system_info", _fans),)),
    Field("pools", (("system_info", _pools),)),
    Field("errors", (("system_info", _faults),)),
)
