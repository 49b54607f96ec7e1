"""One MachineStatus as people read it: a few aligned lines, unknown as an en dash."""

from __future__ import annotations

from collections.abc import Iterator

from redoubt.model.status import MachineStatus, Source, Why
from redoubt.model.units import format_duration, format_hashrate, format_watts

_NAME_WIDTH = 12
_WHY = {
    Why.NEEDS_AUTH: "needs a password",
    Why.NO_REPLY: "no reply",
    Why.UNPARSED: "reply could not be read",
    Why.IMPLAUSIBLE: "cannot be true",
}


def status_lines(status: MachineStatus) -> Iterator[str]:
    """Yield the lines of a status, without a line break."""
    yield _line("address", status.address)
    yield _line("machine", _join(status.make, status.model) + _why(status, "model"))
    yield _line("family", _text(status.family))
    yield _line("firmware", _text(status.firmware) + _why(status, "firmware"))
    yield _line("serial", _text(status.serial) + _why(status, "serial"))
    yield _line("MAC", _text(status.mac) + _why(status, "mac"))
    yield _line("state", str(status.state))
    nominal = format_hashrate(status.hashrate_nominal_hs)
    rate = f"{format_hashrate(status.hashrate_hs)} of {nominal} nominal"
    yield _line("hashrate", rate + _why(status, "hashrate_hs"))
    yield _line("power", _power(status) + _why(status, "power_w"))
    yield _line("uptime", format_duration(status.uptime_s) + _why(status, "uptime_s"))
    if status.temp_inlet_c is not None:
        yield _line("inlet", f"{status.temp_inlet_c:.1f} °C")
    yield from _boards(status)
    if status.fans:
        rpms = "  ".join("–" if fan.rpm is None else f"{fan.rpm}" for fan in status.fans)
        yield _line("fans", f"{rpms} rpm")
    yield from _pools(status)
    for fault in status.errors:
        yield _line("error", _join(fault.code, fault.text))
    for note in status.notes:
        yield _line("note", note.text)


def _boards(status: MachineStatus) -> Iterator[str]:
    for board in status.boards:
        chips = "–" if board.chips is None else str(board.chips)
        built = "" if board.chips_expected is None else f" of {board.chips_expected}"
        yield _line(
            f"board {board.index}",
            f"{format_hashrate(board.hashrate_hs):>11}  {chips}{built} chips  "
            f"board {_celsius(board.temp_board_c)}  chip {_celsius(board.temp_chip_max_c)}",
        )


def _pools(status: MachineStatus) -> Iterator[str]:
    for pool in status.pools:
        counts = "/".join(
            "–" if count is None else str(count)
            for count in (pool.accepted, pool.rejected, pool.stale)
        )
        yield _line(
            f"pool {pool.index}", f"{pool.state:<8} {_text(pool.url)}  {_text(pool.user)}  {counts}"
        )


def _power(status: MachineStatus) -> str:
    if status.power_w is None:
        return "–"
    per_th = status.efficiency_j_per_th
    efficiency = "" if per_th is None else f", {per_th:.1f} J/TH"
    return f"{format_watts(status.power_w)} {status.power_kind or ''}{efficiency}"


def _why(status: MachineStatus, field: str) -> str:
    source = status.sources.get(field, Source(""))
    return "" if source.why is None else f"  ({_WHY[source.why]})"


def _celsius(value: float | None) -> str:
    return "– °C" if value is None else f"{value:.0f} °C"


def _line(name: str, text: str) -> str:
    return f"{name:<{_NAME_WIDTH}}{text}"


def _text(value: str | None) -> str:
    return "–" if value is None else value


def _join(*parts: str | None) -> str:
    return " ".join(part for part in parts if part) or "–"
