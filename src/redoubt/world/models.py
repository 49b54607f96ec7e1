"""The models that stand in the virtual mine: facts for the physics, spellings for the replies.

The world has its own table, as it has its own side of every protocol: were it to share the
drivers' one, a wrong figure would agree with itself.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

Quirk = Literal["missing_comma", "trailing_comma", "new_api", "chunked"]

SERVICES: dict[str, dict[str, int]] = {
    "antminer": {"antminer": 4028, "antminer.web": 80},
    "whatsminer_v3": {"whatsminer_v3": 4433},
    "axeos": {"axeos": 80},
}
"""The services of each family and the ports that its machines really use."""


class Firmware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One firmware: `version` as its identity call spells it, `api` its interface's version."""

    version: str
    api: str
    quirks: tuple[Quirk, ...] = ()


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model. `reported` is how the machine spells itself; `power_w` is at the wall."""

    name: str
    family: str
    make: str
    reported: str
    boards: int
    chips_per_board: int
    fans: int
    hashrate_ths: float
    power_w: float
    frequency_mhz: int
    rpm_max: int
    weight: int
    firmware: tuple[Firmware, ...]
    psu_model: str = ""
    chip: str = ""
    board_version: str = ""
    small_cores: int = 0

    @property
    def hashrate_hs(self) -> float:
        return self.hashrate_ths * 1e12


class _Table(msgspec.Struct, frozen=True):
    model: tuple[Model, ...]


@cache
def virtual_models() -> tuple[Model, ...]:
    """Return every model of the table, in its order."""
    text = (resources.files("redoubt.world") / "models.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Table).model


def models_of(family: str) -> tuple[Model, ...]:
    """Return the models of one family; each as often as its weight says."""
    return tuple(
        model for model in virtual_models() if model.family == family for _ in range(model.weight)
    )
