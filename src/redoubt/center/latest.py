"""The latest state of every machine, held in memory: what lists, heat maps and live pushes read.

The mover feeds it before rows reach the store, so a backlog of old rows changes nothing here: of
each machine only the newest row stays. Every change raises `version`; a reader asks for what
changed since the version that it last saw. All calls are made on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redoubt.center.latest_site import NEVER_MS, NUMBERS, STATES, TEXTS, Ints, LatestSite
from redoubt.edge.batches import MachineDetail, keep_replies
from redoubt.model.ids import MachineId, OrganisationId, RackId, SiteId
from redoubt.model.status import MachineState
from redoubt.model.units import efficiency_j_per_th

MAX_MACHINES_PER_SITE = 100_000
STALE_AFTER_S = 60.0
"""Four polls of 15 s: a machine that has not been heard of for longer never shows as live."""

COLUMNS = (
    "site",
    *TEXTS,
    "state",
    "age_s",
    "at_ms",
    *NUMBERS,
    "efficiency_j_per_th",
)
"""The columns of a `Columns`, in order; numbers and texts are None where unknown."""

_STALE = STATES.index(MachineState.STALE)
_STATE_WORDS = np.array(STATES, dtype=object)


class Columns(msgspec.Struct, frozen=True):
    """Machines column by column, as they travel to a page; `rows` machines at `version`.

    `state` is `stale` where the row is older than STALE_AFTER_S, whatever the machine last said;
    `at_ms` is None where a machine is known by its details only.
    """

    version: int
    at: datetime
    rows: int
    columns: dict[str, list[str | float | None]]


class SiteTotals(msgspec.Struct, frozen=True, kw_only=True):
    """A site summed over its fresh machines. None where no machine says.

    `hashrate_nominal_hs` is that of all machines known, fresh or not: what should be earned.
    """

    machines: int
    states: dict[str, int]
    hashrate_hs: float | None
    hashrate_nominal_hs: float | None
    power_w: float | None
    efficiency_j_per_th: float | None
    hottest_rack: RackId | None
    hottest_c: float | None
    newest_at_ms: int | None


class LatestState:
    """All sites of all organisations. Start with `apply_samples` and `columns`."""

    def __init__(
        self, stale_after_s: float = STALE_AFTER_S, machines_per_site: int = MAX_MACHINES_PER_SITE
    ) -> None:
        self.version = 0
        self._stale_after_s = stale_after_s
        self._machines_per_site = machines_per_site
        self._sites: dict[tuple[OrganisationId, SiteId], LatestSite] = {}
        self._changed = asyncio.Event()

    def apply_samples(
        self, organisation: OrganisationId, site: SiteId, table: pa.Table, now: datetime
    ) -> int:
        """Take rows (SAMPLE_SCHEMA) of one site; return how many machines changed.

        A row of the future counts as one of `now`: a site whose clock ran ahead and was put right
        would otherwise show its wrong rows until time has caught up with them.
        """
        latest = self._site(organisation, site)
        changed = latest.apply_samples(table, int(now.timestamp() * 1000), self.version + 1)
        if changed:
            self._announce()
        return changed

    def apply_details(
        self, organisation: OrganisationId, site: SiteId, details: Iterable[MachineDetail]
    ) -> None:
        """Take full statuses of one site; of one machine the last one stays."""
        latest = self._site(organisation, site)
        for detail in details:
            if latest.apply_detail(detail, self.version + 1):
                before = latest.details.get(detail.machine)
                if not detail.replies and before is not None:
                    detail = keep_replies(detail, _unpack(before))
                packed = zlib.compress(msgspec.json.encode(detail), 1)
                latest.details[detail.machine] = packed
        self._announce()

    def sites(self, organisation: OrganisationId) -> list[SiteId]:
        """Return the sites that something was heard of, in order."""
        return sorted(site for owner, site in self._sites if owner == organisation)

    def columns(
        self,
        organisation: OrganisationId,
        now: datetime,
        site: SiteId | None = None,
        names: Sequence[str] = COLUMNS,
    ) -> Columns:
        """Return all machines of a site, or of all sites."""
        return self.changes_since(-1, organisation, now, site, names)

    def changes_since(
        self,
        version: int,
        organisation: OrganisationId,
        now: datetime,
        site: SiteId | None = None,
        names: Sequence[str] = COLUMNS,
    ) -> Columns:
        """Return the machines that changed after `version`. What merely grew stale is not among
        them: a page sees that by its own clock."""
        columns: dict[str, list[str | float | None]] = {name: [] for name in names}
        rows = 0
        for site_id, latest in self._of(organisation, site):
            picked = np.flatnonzero(latest.changed[: len(latest)] > version)
            rows += len(picked)
            for name, column in columns.items():
                column.extend(self._column(name, site_id, latest, picked, now))
        return Columns(self.version, now, rows, columns)

    def totals(self, organisation: OrganisationId, now: datetime) -> dict[SiteId, SiteTotals]:
        """Return each site summed up."""
        return {
            site: _totals(latest, self._effective_states(latest, now))
            for site, latest in self._of(organisation, None)
        }

    def site_of(self, organisation: OrganisationId, machine: MachineId) -> SiteId | None:
        """Return the site that last heard of a machine, or None where none did."""
        heard = [
            (int(latest.at_ms[place]), site)
            for site, latest in self._of(organisation, None)
            if (place := latest.index.get(machine)) is not None
        ]
        return max(heard)[1] if heard else None

    def detail(
        self, organisation: OrganisationId, site: SiteId, machine: MachineId
    ) -> MachineDetail | None:
        """Return the newest full status of a machine of this site, or None where none came."""
        latest = self._sites.get((organisation, site))
        packed = None if latest is None else latest.details.get(machine)
        return None if packed is None else _unpack(packed)

    async def wait(self, version: int, timeout_s: float) -> int:
        """Return the version once it is over `version`, or after `timeout_s` as it is then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.version <= version:
                    await self._changed.wait()
        return self.version

    def _announce(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _site(self, organisation: OrganisationId, site: SiteId) -> LatestSite:
        key = (organisation, site)
        if key not in self._sites:
            self._sites[key] = LatestSite(self._machines_per_site)
        return self._sites[key]

    def _of(
        self, organisation: OrganisationId, site: SiteId | None
    ) -> Iterator[tuple[SiteId, LatestSite]]:
        for (owner, site_id), latest in sorted(self._sites.items(), key=lambda item: item[0]):
            if owner == organisation and site in (None, site_id):
                yield site_id, latest

    def _effective_states(self, latest: LatestSite, now: datetime) -> npt.NDArray[np.uint8]:
        states = latest.states[: len(latest)].copy()
        states[_ages_s(latest, now) > self._stale_after_s] = _STALE
        return states

    def _column(
        self, name: str, site: SiteId, latest: LatestSite, picked: Ints, now: datetime
    ) -> list[str | float | None]:
        if name == "site":
            return [site] * len(picked)
        if name in TEXTS:
            texts = latest.texts[name]
            return [texts[place] or None for place in picked.tolist()]
        if name == "state":
            words = _STATE_WORDS[self._effective_states(latest, now)[picked]]
            return [str(word) for word in words]
        if name == "at_ms":
            return [None if at == NEVER_MS else at for at in latest.at_ms[picked].tolist()]
        if name == "age_s":
            return _known(np.round(_ages_s(latest, now)[picked], 1))
        if name == "efficiency_j_per_th":
            return _known(_efficiency(latest)[picked])
        return _known(latest.numbers[name][picked])


def _known(values: npt.NDArray[np.float64]) -> list[str | float | None]:
    """Return values with None for what is no number."""
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    known: list[str | float | None] = plain.tolist()
    return known


def _ages_s(latest: LatestSite, now: datetime) -> npt.NDArray[np.float64]:
    """Return seconds since each row; infinite where none came. A clock ahead of ours gives 0."""
    at_ms = latest.at_ms[: len(latest)]
    ages = np.maximum(now.timestamp() - at_ms / 1000, 0.0)
    ages[at_ms == NEVER_MS] = np.inf
    return ages


def _efficiency(latest: LatestSite) -> npt.NDArray[np.float64]:
    rate = latest.numbers["hashrate_hs"][: len(latest)]
    power = latest.numbers["power_w"][: len(latest)]
    with np.errstate(divide="ignore", invalid="ignore"):
        efficiency: npt.NDArray[np.float64] = power / (rate / 1e12)
    efficiency[(rate <= 0) | (power < 0)] = np.nan
    return efficiency


def _totals(latest: LatestSite, states: npt.NDArray[np.uint8]) -> SiteTotals:
    count = len(latest)
    fresh = states != _STALE
    rate = latest.numbers["hashrate_hs"][:count]
    power = latest.numbers["power_w"][:count]
    powered = fresh & np.isfinite(power)
    heard = latest.at_ms[:count][latest.at_ms[:count] != NEVER_MS]
    hottest_rack, hottest_c = _hottest_rack(latest, fresh)
    return SiteTotals(
        machines=count,
        states={
            STATES[code]: int(times)
            for code, times in enumerate(np.bincount(states, minlength=len(STATES)))
        },
        hashrate_hs=_sum_known(rate[fresh]),
        hashrate_nominal_hs=_sum_known(latest.numbers["hashrate_nominal_hs"][:count]),
        power_w=_sum_known(power[fresh]),
        efficiency_j_per_th=efficiency_j_per_th(
            _sum_known(power[powered]), _sum_known(rate[powered])
        ),
        hottest_rack=hottest_rack,
        hottest_c=hottest_c,
        newest_at_ms=int(heard.max()) if len(heard) else None,
    )


def _hottest_rack(
    latest: LatestSite, fresh: npt.NDArray[np.bool_]
) -> tuple[RackId | None, float | None]:
    """Return the rack whose machines' hottest chips are hottest on average, and that average."""
    temps = latest.numbers["temp_chip_max_c"][: len(latest)]
    sums: dict[str, tuple[float, int]] = {}
    for place in np.flatnonzero(fresh & np.isfinite(temps)).tolist():
        rack = latest.texts["rack"][place]
        if rack:
            total, times = sums.get(rack, (0.0, 0))
            sums[rack] = (total + float(temps[place]), times + 1)
    if not sums:
        return None, None
    rack, (total, times) = max(sums.items(), key=lambda item: item[1][0] / item[1][1])
    return RackId(rack), total / times


def _sum_known(values: npt.NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.sum()) if len(known) else None


def _unpack(packed: bytes) -> MachineDetail:
    return msgspec.json.decode(zlib.decompress(packed), type=MachineDetail)
