"""Makers' figures as tables: boards, chips, fans, nominal hashrate and watts of each model.

One TOML file per make. Each row names its `source`, because a nominal figure without one is only a
rumour, and says what nobody could check. `find_hardware` looks a model up by the spellings that
firmwares use.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib import resources

import msgspec

from redoubt.model.units import TERA


class Variant(msgspec.Struct, frozen=True):
    """One hashrate class of a model, as the maker sells it."""

    hashrate_nominal_hs: float
    power_w: float | None = None


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `boards` and `chips_per_board` are None where machines of one name differ.

    `names` are the spellings under which machines report this model, without the make. Its own
    hashrate and watts (at the wall, at 25 °C) are those of one class; `variants` are others.
    """

    make: str
    model: str
    source: str
    names: tuple[str, ...] = ()
    boards: int | None = None
    chips_per_board: int | None = None
    fans: int | None = None
    hashrate_nominal_hs: float | None = None
    power_w: float | None = None
    variants: tuple[Variant, ...] = ()


class _Table(msgspec.Struct, frozen=True):
    model: tuple[Hardware, ...]


@cache
def hardware_tables() -> tuple[Hardware, ...]:
    """Return every row of every table, in the order of the files."""
    folder = resources.files(__name__)
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    rows: list[Hardware] = []
    for name in files:
        table = tomllib.loads((folder / name).read_text(encoding="utf-8"))
        rows.extend(msgspec.convert(table, _Table).model)
    return tuple(rows)


@lru_cache(maxsize=4096)
def find_hardware(
    make: str | None, reported_model: str | None, nominal_hs: float | None = None
) -> Hardware | None:
    """Return the row of a model as a machine spells it, or None where no table has it.

    A hashrate class in the name ("S19j Pro 104T"), else the nominal hashrate that the machine
    claims, picks among variants of one model; the row returned has that variant's figures. What
    stands behind an underscore ("M60S_VK40") is the type of its boards, looked for only as a whole.
    """
    if make is None or reported_model is None:
        return None
    name, terahashes = _split_class(reported_model)
    spellings = (reported_model, name, name.partition("_")[0])
    found = (_index().get((make.lower(), _fold(spelling))) for spelling in spellings)
    row = next((row for row in found if row is not None), None)
    if row is None or not row.variants:
        return row
    wanted = nominal_hs if terahashes is None else terahashes * TERA
    return row if not wanted or wanted < 0 else _pick(row, wanted)


def _pick(row: Hardware, wanted_hs: float) -> Hardware:
    own = Variant(row.hashrate_nominal_hs or 0.0, row.power_w)
    best = min((own, *row.variants), key=lambda each: abs(each.hashrate_nominal_hs - wanted_hs))
    return msgspec.structs.replace(
        row, hashrate_nominal_hs=best.hashrate_nominal_hs, power_w=best.power_w
    )


def _split_class(reported: str) -> tuple[str, float | None]:
    """Return the model without its hashrate class, and that class in TH/s where it has one."""
    match = _CLASS.search(reported[:200])
    if match is None:
        return reported, None
    return reported[: match.start()], float(match.group(1))


@cache
def _index() -> dict[tuple[str, str], Hardware]:
    index: dict[tuple[str, str], Hardware] = {}
    for row in hardware_tables():
        for name in (row.model, *row.names):
            index[(row.make.lower(), _fold(name))] = row
    return index


_CLASS = re.compile(r"[\s(]+(\d{1,4}(?:\.\d{1,3})?)\s?T(?:H(?:/s)?)?\)?\s*\Z", re.IGNORECASE)


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name[:200].lower())
