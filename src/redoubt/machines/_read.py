"""Taking values out of decoded replies, bounded and without inventing anything.

`as_` functions return None for what a machine leaves out (absent, null, "") and raise ValueError or
TypeError for what cannot be the value; `soft` makes such a cell None inside a row, so that one bad
cell never loses the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from redoubt.machines._driver import EXTRACTOR_ERRORS
from redoubt.model.units import HASHRATE_UNITS_HS

MAX_TEXT = 200
MAX_BOARDS = 32
MAX_FANS = 32
MAX_POOLS = 16
MAX_ERRORS = 64
MAX_SENSORS = 64
_LARGEST = 1e24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Value = TypeVar("_Value")


def as_text(value: Any) -> str | None:
    """Return text as claimed, without what cannot be printed, at most MAX_TEXT characters."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"expected text, got {type(value).__name__}")
    if isinstance(value, int) and abs(value) >= 1 << 128:
        raise ValueError("number is too large to be text")
    text = value if isinstance(value, str) else str(value)
    text = text[: 4 * MAX_TEXT]
    if not text.isprintable():
        text = "".join(letter for letter in text if letter.isprintable())
    return text.strip()[:MAX_TEXT] or None


def as_float(value: Any) -> float | None:
    """Return a finite number; machines send numbers as text too."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    if isinstance(value, str) and len(value) > 64:
        raise ValueError("text is too long to be a number")
    number = float(value)
    if math.isnan(number) or math.isinf(number):
        return None
    if abs(number) > _LARGEST:
        raise ValueError("number is too large to be a measure")
    return number


def as_int(value: Any) -> int | None:
    """Return a whole number; a fraction is cut off."""
    if type(value) is int and -(1 << 62) < value < 1 << 62:
        return value
    number = as_float(value)
    if number is None:
        return None
    if abs(number) >= 1 << 62:
        raise ValueError("number is too large to be a count")
    return int(number)


def as_flag(value: Any) -> bool | None:
    """Return yes or no from true, 1, "1", "true", "yes", "on", "enable" and their opposites."""
    if value is None or isinstance(value, bool):
        return value
    flag = word(value)
    if flag in ("1", "true", "yes", "on", "enable", "enabled"):
        return True
    if flag in ("0", "false", "no", "off", "disable", "disabled"):
        return False
    raise ValueError(f"expected yes or no, got {flag!r}")


def word(value: Any) -> str:
    """Return a short text in lower case, or "" where the value is no text or number.

    Never `str()` of whatever came: that of deep nesting would not end well.
    """
    if isinstance(value, str):
        return value[:64].strip().lower()
    number = soft(as_int, value)
    return "" if number is None else str(number)


def soft(convert: Callable[[Any], _Value | None], value: Any) -> _Value | None:
    """Return the converted value, or None where it cannot be one."""
    try:
        return convert(value)
    except EXTRACTOR_ERRORS:
        return None


def first(document: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first of `names` that the document has and that is not null."""
    for name in names:
        value = document.get(name)
        if value is not None:
            return value
    return None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return the object itself. Raises TypeError where it is none."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    return value


def rows(value: Any, most: int) -> list[Mapping[str, Any]]:
    """Return the objects in a list, at most `most`; an object alone counts as a list of one."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return [row for row in value[:most] if isinstance(row, dict)]


def scaled(value: Any, scale: float) -> float | None:
    """Return a number times `scale`, such as TH/s as H/s."""
    number = as_float(value)
    return None if number is None else number * scale


def as_time(value: Any) -> datetime | None:
    """Return the moment so many seconds after 1970 began, where clocks never set stand."""
    seconds = as_int(value)
    return None if seconds is None or seconds < 0 else _EPOCH + timedelta(seconds=seconds)


def as_hashrate(value: Any, unit_hs: float) -> float | None:
    """Return whole hashes per second from a number in a larger unit."""
    rate = scaled(value, unit_hs)
    return None if rate is None else float(round(rate))


def hashrate_unit_hs(unit: Any, default: float) -> float:
    """Return how many hashes per second a unit such as "GH/s", "GH" or "gh" is."""
    name = word(unit).removesuffix("/s").removesuffix("s")
    return HASHRATE_UNITS_HS.get(f"{name}/s", default)


def hottest(values: Iterable[Any]) -> float | None:
    """Return the largest of several sensors; 0 is a sensor that is not there."""
    known = [number for number in (soft(as_float, value) for value in values) if number]
    return max(known, default=None)
