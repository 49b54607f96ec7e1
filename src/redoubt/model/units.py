"""Base units inside, people's units at the edge.

Hashrates are hashes per second (`_hs`), powers watts (`_w`), energies watt hours (`_wh`),
temperatures degrees Celsius (`_c`), efficiencies joules per terahash (`_j_per_th`).
"""

from __future__ import annotations

KILO, MEGA, GIGA, TERA, PETA, EXA = 1e3, 1e6, 1e9, 1e12, 1e15, 1e18

_HASHRATE_STEPS = (
    (EXA, "EH/s"),
    (PETA, "PH/s"),
    (TERA, "TH/s"),
    (GIGA, "GH/s"),
    (MEGA, "MH/s"),
    (KILO, "kH/s"),
)
_WATT_STEPS = ((GIGA, "GW"), (MEGA, "MW"), (KILO, "kW"))

HASHRATE_UNITS_HS = {
    "h/s": 1.0,
    "kh/s": KILO,
    "mh/s": MEGA,
    "gh/s": GIGA,
    "th/s": TERA,
    "ph/s": PETA,
    "eh/s": EXA,
}
"""How many hashes per second one of each unit is, by its lower-case spelling."""


def efficiency_j_per_th(power_w: float | None, hashrate_hs: float | None) -> float | None:
    """Return joules per terahash, or None where either is unknown or nothing is hashed."""
    if power_w is None or not hashrate_hs or hashrate_hs < 0 or power_w < 0:
        return None
    return power_w / (hashrate_hs / TERA)


def format_hashrate(hashrate_hs: float | None) -> str:
    """Return e.g. "104.2 TH/s"; an en dash where unknown."""
    if hashrate_hs is None:
        return "–"
    return _format_scaled(hashrate_hs, _HASHRATE_STEPS, "H/s")


def format_watts(power_w: float | None) -> str:
    """Return e.g. "3.25 kW"; an en dash where unknown."""
    if power_w is None:
        return "–"
    return _format_scaled(power_w, _WATT_STEPS, "W")


def format_duration(seconds: float | None) -> str:
    """Return the two largest units, e.g. "3 d 4 h", "12 min 5 s"; an en dash where unknown."""
    if seconds is None:
        return "–"
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def _format_scaled(value: float, steps: tuple[tuple[float, str], ...], base: str) -> str:
    for size, unit in steps:
        if abs(value) >= size:
            return f"{_three_digits(value / size)} {unit}"
    return f"{_three_digits(value)} {base}"


def _three_digits(value: float) -> str:
    """Format with about four significant digits, so that columns of like things align."""
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:.1f}"
    return f"{value:.2f}" if magnitude else "0"
