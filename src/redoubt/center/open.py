"""Open a center's folder: its keys, records and stores, in the order that they need each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

from redoubt.center.context import Center, Clock, utc_now
from redoubt.center.folder import CenterFolder
from redoubt.center.latest import LatestState
from redoubt.center.live import Live
from redoubt.center.settings import Settings
from redoubt.center.unpack import AHEAD
from redoubt.edge.batches import MachineDetail
from redoubt.edge.inbox import Inbox
from redoubt.edge.records import Records, open_records
from redoubt.edge.telemetry import Telemetry
from redoubt.model.ids import OrganisationId, SiteId

RESTORE = timedelta(days=1)
"""How far back machines are looked for at a start; who was silent for longer has its details."""


@asynccontextmanager
async def open_center(
    folder: CenterFolder, settings: Settings, clock: Clock = utc_now
) -> AsyncIterator[Center]:
    """Yield a center's parts; they are closed at the end, last opened first.

    Raises InputError where a file is missing or of a newer Redoubt, ServiceError where a store
    cannot be opened.
    """
    async with AsyncExitStack() as parts:
        key = folder.key()
        authority = folder.authority()
        records = open_records(folder.records_url)
        parts.callback(records.close)
        telemetry = await Telemetry.open(folder.telemetry)
        parts.push_async_callback(telemetry.close)
        inbox = await Inbox.open(folder.inbox)
        parts.push_async_callback(inbox.close)
        latest = LatestState()
        await _restore(latest, records, telemetry, clock())
        yield Center(
            folder=folder,
            settings=settings,
            records=records,
            telemetry=telemetry,
            inbox=inbox,
            latest=latest,
            live=Live(latest),
            authority=authority,
            signing_key=key,
            clock=clock,
        )


async def _restore(
    latest: LatestState, records: Records, telemetry: Telemetry, now: datetime
) -> None:
    """Fill the latest state with what was known when the center stopped."""
    organisations = await asyncio.to_thread(records.people.organisations)
    for organisation in organisations:
        details = await asyncio.to_thread(_details, records, organisation.id)
        for site, known in details.items():
            latest.apply_details(organisation.id, site, known)
    for rows in await telemetry.latest_rows(now - RESTORE, now + AHEAD):
        latest.apply_samples(rows.organisation, rows.site, rows.table, now)


def _details(records: Records, organisation: OrganisationId) -> dict[SiteId, list[MachineDetail]]:
    details: dict[SiteId, list[MachineDetail]] = {}
    for site, detail in records.details.load(organisation):
        details.setdefault(site, []).append(detail)
    return details
