"""Makers' figures as tables: boards, chips, fans, nominal hashrate and watts of each model.

One TOML file per make. Each row names its `source`, because a nominal figure without one is only a
rumour. `find_hardware` looks a model up by the spellings that firmwares use.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

import msgspec


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `chips_per_board` is None where boards differ; `power_w` is at the wall, at 25 °C.

    `names` are the spellings under which machines report this model, without the make.
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


def find_hardware(make: str | None, reported_model: str | None) -> Hardware | None:
    """Return the row of a model as a machine spells it, or None where no table has it.

    A hashrate class in the name ("S19j Pro 104T") picks among variants of one model.
    """
    if make is None or reported_model is None:
        return None
    return _index().get((make.lower(), _fold(reported_model)))


@cache
def _index() -> dict[tuple[str, str], Hardware]:
    index: dict[tuple[str, str], Hardware] = {}
    for row in hardware_tables():
        for name in (row.model, *row.names):
            index[(row.make.lower(), _fold(name))] = row
    return index


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())
