"""The mover: carries batches from the inbox on, each exactly once.

A group of batches is written down in the inbox, its samples go to the telemetry store under the
group's token, details and findings to the records, and then the group is let go of. After a crash
anywhere in between the same group comes again: the store knows its token, and records take the same
details and findings twice without a change.

Two kinds of failure are told apart. Where a store or the records are ill (ServiceError) the whole
group is tried again until they are well. Whatever else fails, fails by what is in a batch: that
batch is kept aside in the inbox, also where nobody thought of its way to fail, and never holds up
what comes behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

from redoubt.center.latest import LatestState
from redoubt.center.unpack import Aside, unpack_details, unpack_findings, unpack_samples
from redoubt.edge.batches import BatchKind, MachineDetail
from redoubt.edge.inbox import Group, Inbox, InboxBatch, clip_why
from redoubt.edge.telemetry import SiteRows, StoreRefused, Telemetry
from redoubt.model.errors import RedoubtError, ServiceError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId

LOG = logging.getLogger(__name__)

ENOUGH_ROWS = 20_000
"""Smaller inserts are slow: 1,000 rows at a time reach 84,000 rows/s, these half a million."""
MAX_GROUP_ROWS = 200_000
MAX_GROUP_BYTES = 32 * 1024 * 1024
"""Unpacked."""
LINGER_S = 1.0
"""How long a few rows wait for more: what pages lag behind at most."""
_RETRY_S = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, kw_only=True)
class Shelves:
    """Where things go besides the telemetry store. The first two block and run in a thread.

    keep_details, apply_findings: as in `Records`; taking the same twice must change nothing.
    on_findings: told afterwards that findings of a site changed.
    """

    keep_details: Callable[[OrganisationId, SiteId, Sequence[MachineDetail]], None]
    apply_findings: Callable[[OrganisationId, SiteId, Sequence[FindingEvent]], object]
    on_findings: Callable[[OrganisationId, SiteId], None] = lambda _organisation, _site: None


@dataclass
class MoverFigures:
    """What has been carried on since the center started, for /metrics and benches."""

    groups: int = 0
    batches: int = 0
    rows: int = 0
    asides: int = 0
    failures: int = 0
    last_moved_at: datetime | None = field(default=None)


class Mover:
    """Run `run` as a task; cancel it at the end, and then `drain`."""

    def __init__(
        self,
        inbox: Inbox,
        telemetry: Telemetry,
        latest: LatestState,
        shelves: Shelves,
        clock: Callable[[], datetime],
        linger_s: float = LINGER_S,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._inbox = inbox
        self._telemetry = telemetry
        self._latest = latest
        self._shelves = shelves
        self._clock = clock
        self._linger_s = linger_s
        self._on_step = on_step
        self.figures = MoverFigures()

    async def run(self) -> None:
        """Carry on what arrives, until cancelled. A store that fails is tried again, for ever."""
        failures = 0
        while True:
            try:
                await self._inbox.wait_for(ENOUGH_ROWS, self._linger_s)
                await self.move_once()
            except ServiceError as exc:
                if failures == 0:
                    LOG.error("cannot carry batches on, will try again: %s", exc)
                self.figures.failures += 1
                await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1
            else:
                if failures:
                    LOG.info("batches are carried on again, after %d failures", failures)
                failures = 0

    async def drain(self) -> None:
        """Carry on all that waits, once: for the end, when nothing comes in any more.

        What is not carried on then is safe in the inbox and is carried on at the next start.
        Raises ServiceError where the store or the records fail.
        """
        while await self.move_once():
            pass

    async def move_once(self) -> bool:
        """Carry one group on; return False where nothing waits."""
        group = await self._inbox.open_group(MAX_GROUP_ROWS, MAX_GROUP_BYTES)
        if group is None:
            return False
        self._on_step("group")
        asides: list[Aside] = []
        rows = await self._carry_samples(group, asides)
        self._on_step("records")
        for batch in group.batches:
            try:
                await self._shelve(batch)
            except Exception as exc:  # noqa: BLE001 - content fails in ways that nobody foresaw
                asides.append(_blame(batch, exc))
        self._on_step("close")
        await self._inbox.close_group(group, asides, self._clock())
        self._count(group, asides, rows)
        return True

    async def _carry_samples(self, group: Group, asides: list[Aside]) -> int:
        """Show and store the group's samples; return the number of rows."""
        loads = await asyncio.to_thread(_unpack_samples, group, asides)
        return await self._insert(group.token, self._show(loads, asides), asides)

    def _show(self, loads: Sequence[_Load], asides: list[Aside]) -> Sequence[_Load]:
        """Take samples to the latest state, all of a site at once; return those that it took."""
        now = self._clock()
        try:
            for rows in _by_site(loads):
                self._latest.apply_samples(rows.organisation, rows.site, rows.table, now)
        except Exception as exc:  # noqa: BLE001 - as above
            aside = _blame(loads[0].batch, exc)
        else:
            return loads
        if len(loads) == 1:
            asides.append(aside)
            return ()
        middle = len(loads) // 2
        return [*self._show(loads[:middle], asides), *self._show(loads[middle:], asides)]

    async def _insert(self, token: str, loads: Sequence[_Load], asides: list[Aside]) -> int:
        """Insert under `token`; halve what is refused until the batch is found that is to blame.

        A refused half's halves take their own tokens, the same again after a crash, since the same
        rows are refused again.
        """
        if not loads:
            return 0
        try:
            return await self._telemetry.insert(token, _by_site(loads), self._on_step)
        except Exception as exc:  # noqa: BLE001 - as above
            aside = _blame(loads[0].batch, exc)
        if len(loads) == 1:
            asides.append(aside)
            return 0
        middle, rows = len(loads) // 2, 0
        for half in (loads[:middle], loads[middle:]):
            span = f"{half[0].batch.id}-{half[-1].batch.id}"
            rows += await self._insert(f"{token}/{span}", half, asides)
        return rows

    async def _shelve(self, batch: InboxBatch) -> None:
        """Take a batch's details or findings to the records: one batch at a time, as they are many
        times larger unpacked."""
        organisation, site = batch.organisation, batch.site
        match batch.kind:
            case BatchKind.SAMPLES:
                return
            case BatchKind.DETAILS:
                details = await asyncio.to_thread(unpack_details, batch)
                self._latest.apply_details(organisation, site, details)
                await asyncio.to_thread(self._shelves.keep_details, organisation, site, details)
            case BatchKind.FINDINGS:
                events = await asyncio.to_thread(unpack_findings, batch)
                await asyncio.to_thread(self._shelves.apply_findings, organisation, site, events)
                self._shelves.on_findings(organisation, site)

    def _count(self, group: Group, asides: Sequence[Aside], rows: int) -> None:
        for batch, why, _body in asides:
            LOG.warning(
                "put aside of batch (%s, %d) of agent %s: %s",
                batch.epoch,
                batch.seq,
                batch.agent,
                why,
            )
        self.figures.groups += 1
        self.figures.batches += len(group.batches)
        self.figures.rows += rows
        self.figures.asides += len(asides)
        self.figures.last_moved_at = self._clock()


class _Load(NamedTuple):
    batch: InboxBatch
    table: pa.Table


def _unpack_samples(group: Group, asides: list[Aside]) -> list[_Load]:
    loads = []
    for batch in group.batches:
        if batch.kind is not BatchKind.SAMPLES:
            continue
        try:
            table, rest = unpack_samples(batch)
        except Exception as exc:  # noqa: BLE001 - content fails in ways that nobody foresaw
            asides.append(_blame(batch, exc))
            continue
        loads.append(_Load(batch, table))
        if rest is not None:
            asides.append(rest)
    return loads


def _by_site(loads: Sequence[_Load]) -> list[SiteRows]:
    """Return one entry per site, in the order in which its rows came."""
    tables: dict[tuple[OrganisationId, SiteId], list[pa.Table]] = {}
    for batch, table in loads:
        tables.setdefault((batch.organisation, batch.site), []).append(table)
    return [SiteRows(*place, pa.concat_tables(parts)) for place, parts in tables.items()]


def _blame(batch: InboxBatch, exc: Exception) -> Aside:
    """Return a batch put aside for `exc`; raise it again where it is not the batch's fault."""
    if isinstance(exc, ServiceError) and not isinstance(exc, StoreRefused):
        raise exc
    if isinstance(exc, RedoubtError):
        return Aside(batch, clip_why(str(exc)), batch.body)
    LOG.error("a batch that nobody expected", exc_info=exc)
    return Aside(batch, clip_why(f"{type(exc).__name__}: {exc}"), batch.body)
