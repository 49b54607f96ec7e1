"""The mover: carries batches from the inbox on, each exactly once.

A group of batches is written down in the inbox, its samples go to the telemetry store under the
group's token, details and findings to the records, and then the group is let go of. After a crash
anywhere in between the same group comes again: the store knows its token, and records take the same
details and findings twice without a change.

What cannot be carried on (a body that is not what it says, rows of an impossible time) is kept
aside in the inbox; it never holds up what comes behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from redoubt.center.latest import LatestState
from redoubt.center.unpack import Unpacked, unpack
from redoubt.edge.batches import MachineDetail
from redoubt.edge.inbox import Group, Inbox
from redoubt.edge.telemetry import Telemetry
from redoubt.model.errors import InputError, RemoteProtocolError, ServiceError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId

LOG = logging.getLogger(__name__)

ENOUGH_ROWS = 20_000
"""Smaller inserts are slow: 1,000 rows at a time reach 84,000 rows/s, these half a million."""
MAX_GROUP_ROWS = 200_000
MAX_GROUP_BYTES = 32 * 1024 * 1024
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
        unpacked = await asyncio.to_thread(unpack, group)
        self._show(unpacked)
        rows = await self._telemetry.insert(group.token, unpacked.samples, self._on_step)
        self._on_step("records")
        await self._shelve(unpacked)
        self._on_step("close")
        await self._inbox.close_group(group, unpacked.asides, self._clock())
        self._count(group, unpacked, rows)
        return True

    def _show(self, unpacked: Unpacked) -> None:
        now = self._clock()
        for rows in unpacked.samples:
            self._latest.apply_samples(rows.organisation, rows.site, rows.table, now)
        for organisation, site, details in unpacked.details:
            self._latest.apply_details(organisation, site, details)

    async def _shelve(self, unpacked: Unpacked) -> None:
        shelves = self._shelves
        for organisation, site, details in unpacked.details:
            await asyncio.to_thread(shelves.keep_details, organisation, site, details)
        for batch, events in unpacked.findings:
            try:
                await asyncio.to_thread(
                    shelves.apply_findings, batch.organisation, batch.site, events
                )
            except (InputError, RemoteProtocolError) as exc:
                unpacked.put_aside(batch, str(exc), batch.body)
            else:
                shelves.on_findings(batch.organisation, batch.site)

    def _count(self, group: Group, unpacked: Unpacked, rows: int) -> None:
        for batch, why, _body in unpacked.asides:
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
        self.figures.asides += len(unpacked.asides)
        self.figures.last_moved_at = self._clock()
