"""Live pushes to open pages, as Server-Sent Events (WHATWG HTML, section 9.2).

Nothing is queued for anybody: a stream remembers the version that its page has, and each time the
page has taken the last push it gets whatever changed since, so that a slow page skips and never
lags. A stream ends once whoever opened it is signed out or may do other things than before, and
after a while in any case; the number of streams is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException, TooManyRequestsException
from litestar.response import Stream

from redoubt.access.principal import Principal
from redoubt.center.auth import authenticate
from redoubt.center.context import Center
from redoubt.center.latest import Columns, LatestState
from redoubt.center.views.fleet import HEARD, Roster, join_fleet, make_roster
from redoubt.center.views.heatmap import (
    CELL_COLUMNS,
    Cells,
    HeatMap,
    cells_of,
    changed_cells,
    is_laid_out,
    make_layout,
)
from redoubt.edge.records import Records
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register import Register

AnyRequest = Request[Any, Any, Any]

MAX_STREAMS = 500
MAX_STREAMS_EACH = 16
STREAM_LIFE_S = 600.0
HEARTBEAT_S = 15.0
PUSH_EVERY_S = 1.0
"""At most one push of cells in this time: what changes faster is coalesced."""
TICK_EVERY_S = 3.0
"""The same for pages that fetch their figures anew at each tick."""
MAX_CELLS = 1000
"""Changed cells in one push; more of them follow in the next."""
REGISTER_CHECK_S = 2.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Live:
    """What open pages share: how many there are, the register as last read, and heat map layouts.

    `close` ends all streams within a second.
    """

    def __init__(self, latest: LatestState) -> None:
        self.latest = latest
        self.is_closing = False
        self._streams: Counter[str] = Counter()
        self._registers: dict[OrganisationId, tuple[float, Register]] = {}
        self._rosters: dict[OrganisationId, Roster] = {}
        self._layouts: dict[tuple[OrganisationId, str], tuple[Register, HeatMap]] = {}

    def close(self) -> None:
        self.is_closing = True

    @contextmanager
    def stream(self, principal: Principal) -> Iterator[None]:
        """Count a stream while it is open. Raises as `check_room`."""
        self.check_room(principal)
        self._streams[principal.who] += 1
        try:
            yield
        finally:
            self._streams[principal.who] -= 1
            if not self._streams[principal.who]:
                del self._streams[principal.who]

    def check_room(self, principal: Principal) -> None:
        """Raises TooManyRequestsException where one more stream would be too many."""
        if self._streams[principal.who] >= MAX_STREAMS_EACH or self._streams.total() >= MAX_STREAMS:
            raise TooManyRequestsException(
                "too many live pages are open: close some of them "
                f"(at most {MAX_STREAMS_EACH} each)"
            )

    async def register(self, records: Records, organisation: OrganisationId) -> Register:
        """Return the register, at most REGISTER_CHECK_S behind the records."""
        now = asyncio.get_running_loop().time()
        known = self._registers.get(organisation)
        if known is not None and now - known[0] < REGISTER_CHECK_S:
            return known[1]
        version = await asyncio.to_thread(records.register.version, organisation)
        if known is None or known[1].version != version:
            register = await asyncio.to_thread(records.register.load, organisation)
        else:
            register = known[1]
        self._registers[organisation] = (now, register)
        return register

    def roster(self, organisation: OrganisationId, register: Register, heard: Columns) -> Roster:
        """Return who is in the fleet; sorted out anew only where that changed."""
        known = self._rosters.get(organisation)
        if known is None or not known.fits(register, heard):
            known = self._rosters[organisation] = make_roster(register, heard)
        return known

    def heat_map(
        self, organisation: OrganisationId, register: Register, site: str, now: datetime
    ) -> HeatMap:
        """Return a site's heat map as of `now`; its layout is made anew only where it changed."""
        heard = self.latest.columns(organisation, now, SiteId(site), CELL_COLUMNS)
        layout = self._layout(organisation, register, site, heard)
        return msgspec.structs.replace(layout, cells=cells_of(layout, heard))

    def changes(
        self,
        organisation: OrganisationId,
        register: Register,
        site: str,
        now: datetime,
        version: int,
    ) -> Cells | None:
        """Return the cells that changed after `version`; None where the whole must be fetched."""
        heard = self.latest.changes_since(version, organisation, now, SiteId(site), CELL_COLUMNS)
        layout = self._layout(organisation, register, site, heard)
        return None if version > heard.version else changed_cells(layout, heard)

    def _layout(
        self, organisation: OrganisationId, register: Register, site: str, heard: Columns
    ) -> HeatMap:
        """A layout stays right while the register is the same and no machine came or moved."""
        known = self._layouts.get((organisation, site))
        if known is None or known[0] is not register or not is_laid_out(known[1], heard):
            columns = self.latest.columns(organisation, heard.at, names=HEARD)
            fleet = join_fleet(columns, self.roster(organisation, register, columns))
            known = self._layouts[(organisation, site)] = (register, make_layout(fleet, site))
        return known[1]


def event(name: str, data: bytes, version: int) -> bytes:
    """Return one event; `data` is a single line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (version, name.encode(), data)


def cell_events(cells: Cells) -> Iterator[bytes]:
    """Cut changed cells into pushes of at most MAX_CELLS."""
    for start in range(0, len(cells.i), MAX_CELLS):
        cut = slice(start, start + MAX_CELLS)
        part = msgspec.structs.replace(
            cells,
            **{
                name: getattr(cells, name)[cut]
                for name in ("i", "state", "temp", "rate", "power", "at")
            },
        )
        yield event("cells", msgspec.json.encode(part), cells.version)


async def site_events(
    center: Center, organisation: OrganisationId, site: str, layout: str, version: int
) -> AsyncGenerator[bytes, None]:
    """Yield pushes for a page that shows `layout` at `version`.

    Ends with an event `layout` when the page must fetch the heat map anew.
    """
    loop = asyncio.get_running_loop()
    ends_at, heard_at, pushed_at = loop.time() + STREAM_LIFE_S, loop.time(), 0.0
    yield b"retry: 2000\n\n"
    while loop.time() < ends_at and not center.live.is_closing:
        current = await center.latest.wait(version, 1.0)
        wait_s = pushed_at + PUSH_EVERY_S - loop.time()
        if current > version and wait_s > 0:
            await asyncio.sleep(wait_s)
        now = center.clock()
        register = await center.live.register(center.records, organisation)
        cells = center.live.changes(organisation, register, site, now, version)
        if cells is None or cells.layout != layout:
            yield event("layout", b"{}", version)
            return
        version = cells.version
        if cells.i:
            pushed_at = heard_at = loop.time()
            for push in cell_events(cells):
                yield push
        elif loop.time() - heard_at >= HEARTBEAT_S:
            heard_at = loop.time()
            yield b": still here\n\n"


async def tick_events(center: Center) -> AsyncGenerator[bytes, None]:
    """Yield a tick when there is something new to fetch, and one per heartbeat in any case."""
    loop = asyncio.get_running_loop()
    ends_at, ticked_at, version = loop.time() + STREAM_LIFE_S, loop.time(), center.latest.version
    yield b"retry: 2000\n\n"
    while loop.time() < ends_at and not center.live.is_closing:
        current = await center.latest.wait(version, 1.0)
        since_s = loop.time() - ticked_at
        if current > version and since_s < TICK_EVERY_S:
            await asyncio.sleep(min(1.0, TICK_EVERY_S - since_s))
            continue
        if current > version or since_s >= HEARTBEAT_S:
            version, ticked_at = current, loop.time()
            yield event("tick", b"%d" % version, version)


async def _counted(
    center: Center, principal: Principal, events: AsyncGenerator[bytes, None]
) -> AsyncIterator[bytes]:
    """Hand on `events` where there is still room: many that came at once found some."""
    try:
        with center.live.stream(principal):
            async for push in events:
                yield push
    except TooManyRequestsException:
        yield b"retry: %d\n\n" % (STREAM_LIFE_S * 1000)


async def _while_welcome(
    events: AsyncGenerator[bytes, None], is_welcome: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    """Hand on `events` as long as `is_welcome`, which is asked again every HEARTBEAT_S."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    async with aclosing(events):
        async for push in events:
            if loop.time() - asked_at >= HEARTBEAT_S:
                if not await is_welcome():
                    return
                asked_at = loop.time()
            yield push


def _respond(
    center: Center, request: AnyRequest, principal: Principal, events: AsyncGenerator[bytes, None]
) -> Stream:
    async def is_welcome() -> bool:
        found = await authenticate(center, request)
        return bool(found.user == principal)

    center.live.check_room(principal)
    welcome = _while_welcome(events, is_welcome)
    return Stream(
        _counted(center, principal, welcome), media_type="text/event-stream", headers=_HEADERS
    )


@get("/live/sites/{site:str}", include_in_schema=False)
async def live_site(
    center: Center,
    request: AnyRequest,
    principal: Principal,
    site: str,
    layout: str = "",
    version: int = 0,
) -> Stream:
    """Changed cells of a site's heat map."""
    register = await center.live.register(center.records, principal.organisation)
    heard = center.latest.sites(principal.organisation)
    if site not in {str(known.id) for known in register.sites} | set(heard):
        raise NotFoundException(f"no site {site[:64]!r} here")
    events = site_events(center, principal.organisation, site, layout, version)
    return _respond(center, request, principal, events)


@get("/live/ticks", include_in_schema=False)
async def live_ticks(center: Center, request: AnyRequest, principal: Principal) -> Stream:
    """A tick whenever pages have something new to fetch."""
    return _respond(center, request, principal, tick_events(center))


route_handlers = (live_site, live_ticks)
