"""The air of the virtual halls: from outdoors, warmed by racks, moved by what air flow is left."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from redoubt.world.fleet import LEVELS, POSITIONS
from redoubt.world.live import LiveMachine
from redoubt.world.physics import ambient_at, step_rack

BASE_AMBIENT_C = 17.0
SHELF_C = 0.9
"""How much warmer it is one shelf further up."""


class RackAir:
    """One rack: who stands in it, its place in the hall's air, and how much of it moves.

    airflow: the share of the full flow, about 1; lower in corners, and when something breaks.
    """

    def __init__(self, name: str, members: Sequence[LiveMachine], rng: Random) -> None:
        self.name = name
        self.members = list(members)
        self.offset_c = rng.uniform(-2.0, 4.0)
        self.usual_airflow = rng.uniform(0.75, 1.15)
        self.airflow = self.usual_airflow
        full = LEVELS * POSITIONS / max(len(members), 1)
        self._nominal_w = sum(live.machine.model.power_w for live in members) * max(full, 1.0)
        self.inlet_c = BASE_AMBIENT_C + self.offset_c

    def step(self, seconds: float, warmth_c: float, dt_s: float) -> None:
        """Let `dt_s` pass. seconds: the time of the virtual day; warmth_c: a heat wave's share."""
        ambient_c = ambient_at(seconds, BASE_AMBIENT_C) + self.offset_c + warmth_c
        self.inlet_c = step_rack(self.inlet_c, ambient_c, self.heat_share(), self.airflow, dt_s)

    @property
    def gives_heat(self) -> bool:
        """Whether what stands here is enough to be a rack's trouble: a shelf of gadgets is not."""
        return self._nominal_w > 1000

    def air_at(self, level: int) -> float:
        """Return the inlet air on a shelf, counted from 1 at the top: warm air rises."""
        return self.inlet_c + SHELF_C * (LEVELS - level)

    def heat_share(self) -> float:
        """Return the heat given off now as a share of the full rack's at nominal power."""
        heat_w = sum(live.state.power_w for live in self.members)
        return heat_w / self._nominal_w if self._nominal_w else 0.0

    def settle(self, seconds: float) -> None:
        """Take the air to where it stays while every machine hashes."""
        heat = sum(live.machine.model.power_w for live in self.members) / (self._nominal_w or 1.0)
        ambient_c = ambient_at(seconds, BASE_AMBIENT_C) + self.offset_c
        self.inlet_c = step_rack(self.inlet_c, ambient_c, heat, self.airflow, 1e6)
