"""What the replies of a stock Antminer mean, in both dialects of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redoubt.machines._cgminer import clock_at, first_entry, pool_state, section
from redoubt.machines._driver import Field
from redoubt.machines._read import (
    MAX_ERRORS,
    MAX_POOLS,
    as_int,
    as_mapping,
    as_text,
    first,
    rows,
    soft,
    word,
)
from redoubt.machines._state import state_of
from redoubt.machines.antminer.stats import (
    boards,
    claimed_hashrate_hs,
    claimed_power_w,
    fans,
    is_asleep,
    nominal_hs,
    stats_hashrate_hs,
    stats_uptime_s,
)
from redoubt.model.status import MachineFault, MachineState, MachineStatus, PoolStatus


def _hashrate_hs(document: Any) -> float | None:
    return claimed_hashrate_hs(first_entry(document, "SUMMARY"))


def _uptime_s(document: Any) -> int | None:
    return as_int(first(first_entry(document, "SUMMARY"), "Elapsed", "elapsed"))


def _version_text(*names: str) -> Any:
    return lambda document: as_text(first(first_entry(document, "VERSION"), *names))


def _system_text(*names: str) -> Any:
    return lambda document: as_text(first(as_mapping(document), *names))


def _stats_text(*names: str) -> Any:
    def read(document: Any) -> str | None:
        entries = [*rows(as_mapping(document).get("INFO"), 1), *section(document, "STATS")]
        found = (first(entry, *names) for entry in entries)
        return as_text(next((value for value in found if value is not None), None))

    return read


def _pools(document: Any) -> tuple[PoolStatus, ...]:
    entries = section(document, "POOLS")[:MAX_POOLS]
    active = _active_pool(entries)
    return tuple(
        _pool(at, entry, is_active=at == active)
        for at, entry in enumerate(entries)
        if first(entry, "URL", "url")
    )


def _active_pool(entries: list[Mapping[str, Any]]) -> int | None:
    """Return the place of the pool that work comes from: cgminer's is the alive one that says so,
    else the alive one of the best priority."""
    alive = [
        at for at, entry in enumerate(entries) if word(first(entry, "Status", "status")) == "alive"
    ]
    for at in alive:
        if entries[at].get("Stratum Active") is True:
            return at
    return min(alive, key=lambda at: _priority(entries[at], at), default=None)


def _priority(entry: Mapping[str, Any], default: int) -> int:
    priority = soft(as_int, first(entry, "Priority", "priority"))
    return default if priority is None else priority


def _pool(at: int, entry: Mapping[str, Any], *, is_active: bool) -> PoolStatus:
    index = soft(as_int, first(entry, "POOL", "index"))
    return PoolStatus(
        index=at if index is None else index,
        url=soft(as_text, first(entry, "URL", "url")),
        user=soft(as_text, first(entry, "User", "user")),
        state=pool_state(first(entry, "Status", "status"), is_active),
        accepted=soft(as_int, first(entry, "Accepted", "accepted")),
        rejected=soft(as_int, first(entry, "Rejected", "rejected")),
        stale=soft(as_int, first(entry, "Stale", "stale")),
    )


def _faults(document: Any) -> tuple[MachineFault, ...]:
    """Return what the new dialect's summary lists under `status` and does not call "s" (good)."""
    entry = first_entry(document, "SUMMARY")
    return tuple(
        MachineFault(
            code=soft(as_text, first(row, "type", "code")),
            text=soft(as_text, row.get("msg")) or "not told",
        )
        for row in rows(entry.get("status"), MAX_ERRORS)
        if word(row.get("status")) not in ("s", "")
    )


def read_state(docs: Mapping[str, Any], status: MachineStatus) -> MachineState:
    return state_of(status, is_sleeping="stats" in docs and is_asleep(docs["stats"]))


FIELDS = (
    Field(
        "model",
        (
            ("version", _version_text("Type", "type")),
            ("system_info", _system_text("minertype")),
            ("stats", _stats_text("Type", "type")),
        ),
    ),
    Field(
        "firmware",
        (
            ("system_info", _system_text("system_filesystem_version")),
            ("version", _version_text("CompileTime")),
            ("stats", _stats_text("CompileTime")),
        ),
    ),
    Field("serial", (("system_info", _system_text("serinum", "serial_no")),)),
    Field("mac", (("system_info", _system_text("macaddr")),)),
    Field("hostname", (("system_info", _system_text("hostname")),)),
    Field("hashrate_hs", (("summary", _hashrate_hs), ("stats", stats_hashrate_hs))),
    Field("hashrate_nominal_hs", (("stats", nominal_hs),)),
    Field("power_w", (("stats", claimed_power_w),)),
    Field("uptime_s", (("summary", _uptime_s), ("stats", stats_uptime_s))),
    Field("clock_at", (("summary", clock_at), ("stats", clock_at))),
    Field("boards", (("stats", boards),)),
    Field("fans", (("stats", fans),)),
    Field("pools", (("pools", _pools),)),
    Field("errors", (("summary", _faults),)),
)
