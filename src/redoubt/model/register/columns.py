"""The columns of the register's tables: what each may hold, as a cell of text and as a TOML value.

One table per noun, named like the attribute of `Register` (`machines`, `racks` …). A value that
comes in is brought to its one normal form (MACs in lower case, serials in upper case, no space
around text), so that what is written out reads back as exactly the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from redoubt.model.errors import InputError
from redoubt.model.identity import parse_mac, parse_serial
from redoubt.model.ids import check_id
from redoubt.model.register import Building, Machine, Owner, Pool, Rack, Site, Slot

MAX_TEXT = 200
MAX_SERIALS = 16
MAX_RACK_SIDE = 200

_SLOT = re.compile(r"([1-9][0-9]{0,2})-([1-9][0-9]{0,2})")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """`parse` makes the value from text, a number, a boolean or a list, and raises InputError;
    `empty` is the value where nothing is given, `is_required` refuses that."""

    name: str
    parse: Callable[[Any], Any]
    is_required: bool = False
    empty: Any = None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One noun of the register: `name` is the attribute of `Register`, `one` the word for a row."""

    name: str
    one: str
    noun: type[Any]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def parse_id(raw: object) -> str:
    return check_id(_text(raw))


def parse_words(raw: object) -> str:
    """A line of printable text."""
    text = _text(raw)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise InputError(f"expected at most {MAX_TEXT} printable characters, got {text[:60]!r}")
    return text


def parse_number(raw: object) -> float:
    """A finite number of zero or more; digits with a decimal point."""
    number = _finite(raw)
    if number < 0:
        raise InputError(f"expected zero or more, got {raw!r:.60}")
    return number


def parse_latitude(raw: object) -> float:
    return _between(raw, -90, 90)


def parse_longitude(raw: object) -> float:
    return _between(raw, -180, 180)


def parse_count(raw: object) -> int:
    """How many levels or positions a rack has."""
    number = _finite(raw)
    if number != int(number) or not 1 <= number <= MAX_RACK_SIDE:
        raise InputError(f"expected a whole number from 1 to {MAX_RACK_SIDE}, got {raw!r:.60}")
    return int(number)


def parse_flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    known = _YES.get(raw.strip().lower()) if isinstance(raw, str) else None
    if known is None:
        raise InputError(f"expected true or false, got {raw!r:.60}")
    return known


def parse_slot(raw: object) -> Slot:
    text = _text(raw)
    match = _SLOT.fullmatch(text)
    if match is None:
        raise InputError(
            f"expected level-position, as 3-2, got {text[:60]!r} "
            "(spreadsheets make dates of slots: format the column as text)"
        )
    return Slot(int(match[1]), int(match[2]))


def parse_country(raw: object) -> str:
    text = _text(raw).upper()
    if not _COUNTRY.fullmatch(text):
        raise InputError(f"expected a country's two letters (ISO 3166), got {text[:60]!r}")
    return text


def parse_address(raw: object) -> str:
    text = _text(raw)
    if not _ADDRESS.fullmatch(text):
        raise InputError(f"expected an IP address or host name, got {text[:60]!r}")
    return text


def parse_mac_cell(raw: object) -> str:
    mac = parse_mac(_text(raw))
    if mac is None:
        raise InputError(f"expected a MAC address, as 00:1a:2b:3c:4d:5e, got {raw!r:.60}")
    return mac


def parse_serial_cell(raw: object) -> str:
    text = parse_words(raw)
    serial = parse_serial(text)
    if serial is None or serial != text.upper() or ";" in serial:
        raise InputError(f"expected a serial number, got {text[:60]!r}")
    return serial


def parse_serials(raw: object) -> tuple[str, ...]:
    """Several serials: a TOML list, or a cell with semicolons between them."""
    given = raw if isinstance(raw, list) else [part for part in _text(raw).split(";") if part]
    if len(given) > MAX_SERIALS:
        raise InputError(f"expected at most {MAX_SERIALS} serials, got {len(given)}")
    return tuple(parse_serial_cell(part) for part in given)


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise InputError(f"expected text, got {raw!r:.60}")
    return raw.strip()


def _finite(raw: object) -> float:
    """Read a number; Python's own readings of "1_000", "inf" or Arabic digits are no numbers."""
    try:
        if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
            raise ValueError
        if isinstance(raw, str) and not (raw.isascii() and "_" not in raw and len(raw) <= 40):
            raise ValueError
        number = float(raw)
    except (ValueError, OverflowError):
        raise InputError(f"expected a number, as 3250 or 0.5, got {raw!r:.60}") from None
    if not math.isfinite(number):
        raise InputError(f"expected a finite number, got {raw!r:.60}")
    return number


def _between(raw: object, low: float, high: float) -> float:
    number = _finite(raw)
    if not low <= number <= high:
        raise InputError(f"expected {low} to {high} degrees, got {raw!r:.60}")
    return number


def _required(name: str, parse: Callable[[Any], Any]) -> Column:
    return Column(name=name, parse=parse, is_required=True)


def _optional(name: str, parse: Callable[[Any], Any], empty: Any = None) -> Column:
    return Column(name=name, parse=parse, empty=empty)


_ID, _NAME = _required("id", parse_id), _required("name", parse_words)

TABLES: tuple[Table, ...] = (
    Table(name="owners", one="owner", noun=Owner, columns=(_ID, _NAME)),
    Table(
        name="pools",
        one="pool",
        noun=Pool,
        columns=(_ID, _NAME, _required("url", parse_words), _required("account", parse_words)),
    ),
    Table(
        name="sites",
        one="site",
        noun=Site,
        columns=(
            _ID,
            _NAME,
            _optional("country", parse_country, ""),
            _optional("latitude", parse_latitude),
            _optional("longitude", parse_longitude),
            _optional("allowance_w", parse_number),
            _optional("virtual", parse_flag, False),
        ),
    ),
    Table(
        name="buildings",
        one="building",
        noun=Building,
        columns=(_ID, _required("site", parse_id), _NAME),
    ),
    Table(
        name="racks",
        one="rack",
        noun=Rack,
        columns=(
            _ID,
            _required("building", parse_id),
            _NAME,
            _required("levels", parse_count),
            _required("positions", parse_count),
        ),
    ),
    Table(
        name="machines",
        one="machine",
        noun=Machine,
        columns=(
            _ID,
            _required("site", parse_id),
            _optional("rack", parse_id),
            _optional("slot", parse_slot),
            _required("make", parse_words),
            _required("model", parse_words),
            _optional("family", parse_id),
            _optional("address", parse_address),
            _optional("serial", parse_serial_cell),
            _optional("mac", parse_mac_cell),
            _optional("control_board_serial", parse_serial_cell),
            _optional("hashboard_serials", parse_serials, ()),
            _optional("owner", parse_id),
            _optional("pool", parse_id),
            _optional("worker", parse_words),
            _optional("hashrate_nominal_hs", parse_number),
            _optional("power_limit_w", parse_number),
        ),
    ),
)
"""Every table, each after those that it refers to."""


def table_named(name: str) -> Table | None:
    return next((table for table in TABLES if table.name == name), None)
