"""Figures in people's units, as pages write them: a number and its unit, kept apart for typography.

An unknown value is an en dash and never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from redoubt.model.finding import Scalar
from redoubt.model.units import (
    efficiency_j_per_th,
    format_duration,
    format_hashrate,
    format_watts,
)

UNKNOWN = "–"

CAUSE_LABELS = {
    "no_reply": "no answer",
    "offline": "no answer",
    "stale": "no fresh data",
    "needs_auth": "needs a password",
    "sleeping": "asleep",
    "unknown": "never heard of",
    "idle": "answers, hashes nothing",
    "no_pool": "no pool answers",
    "no_boards": "no hashboard answers",
    "fault": "reports a fault",
}
STATE_LABELS = {
    "hashing": "hashing",
    "sleeping": "sleeping",
    "degraded": "degraded",
    "offline": "offline",
    "stale": "stale",
    "needs_auth": "needs password",
    "unknown": "unknown",
}


class Figure(msgspec.Struct, frozen=True):
    """A number as text and its unit: "96.2" and "PH/s"."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.unit}".strip()


def hashrate(hashrate_hs: float | None) -> Figure:
    return _split(format_hashrate(hashrate_hs))


def watts(power_w: float | None) -> Figure:
    return _split(format_watts(power_w))


def celsius(temp_c: float | None) -> Figure:
    return Figure(UNKNOWN) if temp_c is None else Figure(f"{temp_c:.0f}", "°C")


def efficiency(j_per_th: float | None) -> Figure:
    return Figure(UNKNOWN) if j_per_th is None else Figure(f"{j_per_th:.1f}", "J/TH")


def percent(share: float | None) -> Figure:
    """A share of 1 in percent, with one decimal, so that 99.6 never reads as 100."""
    if share is None:
        return Figure(UNKNOWN)
    return Figure("0" if share == 0 else f"{share * 100:.1f}", "%")


def count(value: int | None) -> str:
    """An integer with thin groups of three, so that columns align: "1 024"."""
    return UNKNOWN if value is None else f"{value:,}".replace(",", "\u202f")


def whole(value: float | None) -> str:
    return UNKNOWN if value is None else count(round(value))


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says enough: "8 s", "3 min", "2 h 5 min"."""
    if at is None:
        return "never"
    return format_duration((now - at).total_seconds())


def cause_label(cause: str) -> str:
    """A cause as a person would say it; rules name causes in snake_case."""
    return CAUSE_LABELS.get(cause, cause.replace("_", " "))


def state_label(state: str) -> str:
    return STATE_LABELS.get(state, state)


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 machine", "2 machines"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def _split(text: str) -> Figure:
    number, _, unit = text.partition(" ")
    return Figure(number, unit)


def from_ms(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


def moment(at: datetime) -> str:
    """A moment to the second, in UTC and saying so."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    return format_duration(seconds)


def j_per_th(power_w: float | None, hashrate_hs: float | None) -> float | None:
    return efficiency_j_per_th(power_w, hashrate_hs)


def value(key: str, scalar: Scalar) -> str:
    """A value of evidence, by the unit at the end of its key."""
    if scalar is None:
        return UNKNOWN
    if isinstance(scalar, bool):
        return "yes" if scalar else "no"
    if isinstance(scalar, str) or not math.isfinite(scalar):
        return str(scalar)
    for ending, form in _BY_UNIT:
        if key.endswith(ending):
            return str(form(scalar))
    return f"{scalar:,g}".replace(",", "\u202f") if isinstance(scalar, float) else count(scalar)


_BY_UNIT: tuple[tuple[str, Callable[[float], object]], ...] = (
    ("_hs", hashrate),
    ("_w", watts),
    ("_j_per_th", efficiency),
    ("_c", lambda temp_c: Figure(f"{temp_c:.1f}", "°C")),
    ("_s", format_duration),
    ("_share", percent),
    ("_rpm", lambda rpm: Figure(whole(rpm), "rpm")),
)


def key_label(key: str) -> str:
    """A key of evidence without its unit, which stands with the value: "temp chip max"."""
    for ending, _ in _BY_UNIT:
        if key.endswith(ending):
            key = key.removesuffix(ending)
            break
    return key.replace("_", " ")


def earning_kind(earning: float | None) -> str:
    """The colour of a bar of earnings: calm from 95 %, a warning from 85 %."""
    if earning is None:
        return ""
    return "good" if earning >= 0.95 else "warn" if earning >= 0.85 else "bad"


def power_kind(share: float | None) -> str:
    """The colour of a bar of power: past the allowance is bad, the last 3 % are a warning."""
    if share is None:
        return ""
    return "bad" if share > 1 else "warn" if share > 0.97 else "cool"
