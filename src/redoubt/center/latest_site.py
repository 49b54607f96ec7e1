"""The newest row of each machine of one site, as columns that grow.

Numbers are float64 with NaN for unknown, so that a batch of a hundred thousand rows costs a few
array operations and a page's list one pass per column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redoubt.edge.batches import MachineDetail
from redoubt.model.sample import MEASURES
from redoubt.model.status import MachineState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEVER_MS = np.iinfo(np.int64).min
"""The time of a row that has not come yet: older than any."""

STATES: tuple[str, ...] = tuple(MachineState)
_STATE_CODES = {state: code for code, state in enumerate(STATES)}
UNKNOWN = _STATE_CODES[MachineState.UNKNOWN]
TEXTS = ("machine", "rack", "slot", "power_kind", "address", "make", "model", "family", "firmware")
NUMBERS = (*MEASURES, "hashrate_nominal_hs")


class LatestSite:
    """Rows by index; `index` knows which machine has which. Never more than `limit` machines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.index: dict[str, int] = {}
        self.texts: dict[str, list[str]] = {name: [] for name in TEXTS}
        self.numbers: dict[str, Floats] = {name: np.full(0, np.nan) for name in NUMBERS}
        self.at_ms: Ints = np.full(0, NEVER_MS, dtype=np.int64)
        self.states: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.changed: Ints = np.zeros(0, dtype=np.int64)
        """The version at which each row last changed."""

    def __len__(self) -> int:
        return len(self.index)

    def apply_samples(self, table: pa.Table, now_ms: int, version: int) -> int:
        """Take the newest row per machine where it is newer than what is known; return how many."""
        batch = table.combine_chunks().unify_dictionaries()
        times = _plain(batch, "at").cast(pa.int64()).to_numpy(zero_copy_only=False)
        at_ms: Ints = np.minimum(times, now_ms)
        places = self._places(_plain(batch, "machine"))
        rows = _newest_rows(places, at_ms, len(self.index))
        rows = rows[at_ms[rows] > self.at_ms[places[rows]]]
        if not len(rows):
            return 0
        where = places[rows]
        picked = batch.take(rows)
        self.at_ms[where] = at_ms[rows]
        self.changed[where] = version
        states: list[Any] = picked.column("state").to_pylist()
        self.states[where] = [_STATE_CODES.get(state, UNKNOWN) for state in states]
        for name in MEASURES:
            values = _plain(picked, name).cast(pa.float64(), safe=False)
            self.numbers[name][where] = values.to_numpy(zero_copy_only=False)
        for name in ("rack", "slot", "power_kind"):
            column = self.texts[name]
            for place, value in zip(where.tolist(), picked.column(name).to_pylist(), strict=True):
                column[place] = value or ""
        return len(rows)

    def apply_detail(self, detail: MachineDetail, version: int) -> bool:
        """Take what samples do not say; return False where the site is full."""
        place = self._place(detail.machine)
        if place is None:
            return False
        status = detail.status
        for name in ("address", "make", "model", "family", "firmware"):
            self.texts[name][place] = getattr(status, name) or ""
        if not self.texts["rack"][place]:
            self.texts["rack"][place], self.texts["slot"][place] = detail.rack, detail.slot
        nominal = status.hashrate_nominal_hs
        self.numbers["hashrate_nominal_hs"][place] = np.nan if nominal is None else nominal
        self.changed[place] = version
        return True

    def _places(self, machines: Any) -> Ints:
        """Return the index of each row's machine (a DictionaryArray); -1 where the site is full."""
        used = np.unique(machines.indices.to_numpy(zero_copy_only=False))
        words = machines.dictionary
        lookup = np.full(len(words) or 1, -1, dtype=np.int64)
        for code in used.tolist():
            place = self._place(words[code].as_py())
            if place is not None:
                lookup[code] = place
        places: Ints = lookup[machines.indices.to_numpy(zero_copy_only=False)]
        return places

    def _place(self, machine: str) -> int | None:
        place = self.index.get(machine)
        if place is None and len(self.index) < self._limit:
            place = len(self.index)
            self.index[machine] = place
            self._grow(place + 1)
            for name, column in self.texts.items():
                column.append(machine if name == "machine" else "")
        return place

    def _grow(self, rows: int) -> None:
        """Make room by doubling, so that growing costs little per machine."""
        have = len(self.at_ms)
        if rows <= have:
            return
        more = max(rows, 2 * have, 64) - have
        self.at_ms = np.concatenate([self.at_ms, np.full(more, NEVER_MS, dtype=np.int64)])
        self.states = np.concatenate([self.states, np.full(more, UNKNOWN, dtype=np.uint8)])
        self.changed = np.concatenate([self.changed, np.zeros(more, dtype=np.int64)])
        for name, column in self.numbers.items():
            self.numbers[name] = np.concatenate([column, np.full(more, np.nan)])


def _plain(table: pa.Table, name: str) -> Any:
    return table.column(name).combine_chunks()


def _newest_rows(places: Ints, at_ms: Ints, machines: int) -> Ints:
    """Return one row number per machine in the batch: that of its newest row."""
    known = np.flatnonzero(places >= 0)
    order = known[np.argsort(at_ms[known], kind="stable")]
    newest = np.full(machines, -1, dtype=np.int64)
    # Of several writes to one place the last one stays: that of the newest row.
    newest[places[order]] = order
    return newest[newest >= 0]
