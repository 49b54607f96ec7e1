"""The newest row of each machine of one site, as columns that grow.

Numbers are float64 with NaN for unknown, so that a batch of a hundred thousand rows costs a few
array operations and a page's list one pass per column. In a full site a machine that is new takes
the place of the one that is silent longest: what is real speaks, however many were made up.
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
    """Rows by index; `index` knows which machine has which. Never more than `limit` machines.

    details: the packed details of each machine that has a row.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.index: dict[str, int] = {}
        self.details: dict[str, bytes] = {}
        self.texts: dict[str, list[str]] = {name: [] for name in TEXTS}
        self.numbers: dict[str, Floats] = {name: np.full(0, np.nan) for name in NUMBERS}
        self.at_ms: Ints = np.full(0, NEVER_MS, dtype=np.int64)
        self.states: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.changed: Ints = np.zeros(0, dtype=np.int64)
        """The version at which each row last changed."""
        self._heard_ms: Ints = np.full(0, NEVER_MS, dtype=np.int64)
        """When each machine was last heard of, by a row or a detail."""

    def __len__(self) -> int:
        return len(self.index)

    def apply_samples(self, table: pa.Table, now_ms: int, version: int) -> int:
        """Take the newest row per machine where it is newer than what is known; return how many."""
        batch = table.combine_chunks().unify_dictionaries()
        times = _plain(batch, "at").cast(pa.int64()).to_numpy(zero_copy_only=False)
        at_ms: Ints = np.minimum(times, now_ms)
        places = self._places(_plain(batch, "machine"), at_ms)
        rows = _newest_rows(places, at_ms, len(self.index))
        rows = rows[at_ms[rows] > self.at_ms[places[rows]]]
        if not len(rows):
            return 0
        where = places[rows]
        picked = batch.take(rows)
        self.at_ms[where] = at_ms[rows]
        self._heard_ms[where] = np.maximum(self._heard_ms[where], at_ms[rows])
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
        """Take what samples do not say; False where the site is full of what spoke later."""
        at_ms = int(detail.status.at.timestamp() * 1000)
        place = self.index.get(detail.machine)
        if place is None:
            self._admit([(at_ms, detail.machine)], set())
            place = self.index.get(detail.machine)
        if place is None:
            return False
        self._heard_ms[place] = max(int(self._heard_ms[place]), at_ms)
        status = detail.status
        for name in ("address", "make", "model", "family", "firmware"):
            self.texts[name][place] = getattr(status, name) or ""
        if not self.texts["rack"][place]:
            self.texts["rack"][place], self.texts["slot"][place] = detail.rack, detail.slot
        nominal = status.hashrate_nominal_hs
        self.numbers["hashrate_nominal_hs"][place] = np.nan if nominal is None else nominal
        self.changed[place] = version
        return True

    def _places(self, machines: Any, at_ms: Ints) -> Ints:
        """Return the index of each row's machine (a DictionaryArray); -1 where there is no room."""
        codes = machines.indices.to_numpy(zero_copy_only=False)
        newest = np.full(len(machines.dictionary) or 1, NEVER_MS, dtype=np.int64)
        np.maximum.at(newest, codes, at_ms)
        names = {code: machines.dictionary[code].as_py() for code in np.unique(codes).tolist()}
        known = {self.index[name] for name in names.values() if name in self.index}
        new: dict[str, int] = {}
        for code, name in names.items():
            if name not in self.index:
                new[name] = max(new.get(name, NEVER_MS), int(newest[code]))
        self._admit([(heard_ms, name) for name, heard_ms in new.items()], known)
        lookup = np.full(len(newest), -1, dtype=np.int64)
        for code, name in names.items():
            lookup[code] = self.index.get(name, -1)
        places: Ints = lookup[codes]
        return places

    def _admit(self, new: list[tuple[int, str]], busy: set[int]) -> None:
        """Give places to machines that have none (when heard of, id), the newest first.

        Once the site is full they get those of machines that are silent longer, `busy` ones
        excepted; who finds none stays outside.
        """
        new.sort(reverse=True)
        room = self._limit - len(self.index)
        for _, machine in new[:room]:
            self._append(machine)
        if new[room:]:
            silent = np.argsort(self._heard_ms[: len(self.index)], kind="stable")
            busy = busy | {self.index[machine] for _, machine in new[:room]}
            free = (place for place in silent.tolist() if place not in busy)
            for (at_ms, machine), place in zip(new[room:], free, strict=False):
                if at_ms <= self._heard_ms[place]:
                    break
                self._replace(place, machine)

    def _append(self, machine: str) -> None:
        place = len(self.index)
        self._grow(place + 1)
        self.index[machine] = place
        for name, column in self.texts.items():
            column.append(machine if name == "machine" else "")

    def _replace(self, place: int, machine: str) -> None:
        """Forget who has a place, and give it to another."""
        before = self.texts["machine"][place]
        del self.index[before]
        self.details.pop(before, None)
        self.index[machine] = place
        for name, column in self.texts.items():
            column[place] = machine if name == "machine" else ""
        for numbers in self.numbers.values():
            numbers[place] = np.nan
        self.at_ms[place] = self._heard_ms[place] = NEVER_MS
        self.states[place] = UNKNOWN

    def _grow(self, rows: int) -> None:
        """Make room by doubling, so that growing costs little per machine."""
        have = len(self.at_ms)
        if rows <= have:
            return
        more = max(rows, 2 * have, 64) - have
        never = np.full(more, NEVER_MS, dtype=np.int64)
        self.at_ms = np.concatenate([self.at_ms, never])
        self._heard_ms = np.concatenate([self._heard_ms, never])
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
