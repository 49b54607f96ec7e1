"""Open a center's folder: its keys, records and stores, in the order that they need each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redoubt.center.context import Center, Clock, utc_now
from redoubt.center.folder import CenterFolder
from redoubt.center.latest import LatestState
from redoubt.center.settings import Settings
from redoubt.edge.inbox import Inbox
from redoubt.edge.records import open_records
from redoubt.edge.telemetry import Telemetry


@asynccontextmanager
async def open_center(
    folder: CenterFolder, settings: Settings, agent_url: str, clock: Clock = utc_now
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
        yield Center(
            folder=folder,
            settings=settings,
            records=records,
            telemetry=telemetry,
            inbox=inbox,
            latest=latest,
            live=_live(latest),
            authority=authority,
            signing_key=key,
            agent_url=agent_url,
            clock=clock,
        )


def _live(latest):
    import importlib.util

    if importlib.util.find_spec("redoubt.center.live"):
        from redoubt.center.live import Live

        return Live(latest)
    return None
