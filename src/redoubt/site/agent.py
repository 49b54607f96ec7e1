"""What the flows of one site agent share: what is known, what is held, and who it is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import datetime

import msgspec

from redoubt.edge.agent_link import AgentLink
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.spool import SpoolStep
from redoubt.edge.spool_thread import SpoolThread
from redoubt.model.ids import MachineId
from redoubt.reconcile import (
    AgentView,
    BookState,
    DiskView,
    FindingBook,
    MemoryState,
    ScanView,
    SiteMemory,
    SpoolView,
)
from redoubt.site.config import SiteConfig
from redoubt.site.details import DetailPolicy
from redoubt.site.folder import SiteFolder
from redoubt.site.outbox import Outbox
from redoubt.site.poller import Poller
from redoubt.site.register import RegisterKeeper
from redoubt.site.roster import Roster, RosterState

FIRST_REGISTER_S = 10.0
"""How long a new site waits for its first register before it reads without one."""
_ALIVE_CADENCES = 3


class Kept(msgspec.Struct, frozen=True):
    """What outlives a restart, beside the spool's batches; see `Agent.notes`."""

    memory: MemoryState = MemoryState()
    roster: RosterState = RosterState()
    findings: BookState = BookState()


class Agent:
    """One running site agent. Its flows run in one event loop and call nothing of it in threads.

    has_spooled: set when batches came into the spool. has_register: set once a register is at hand.
    newcomers: set when there is something to read that was not read yet.
    """

    def __init__(
        self,
        *,
        folder: SiteFolder,
        config: SiteConfig,
        identity: AgentIdentity,
        register: RegisterKeeper,
        spool: SpoolThread,
        link: AgentLink,
        poller: Poller,
        kept: Kept,
        clock: Callable[[], datetime],
    ) -> None:
        self.folder = folder
        self.config = config
        self.identity = identity
        self.register = register
        self.spool = spool
        self.link = link
        self.poller = poller
        self.clock = clock
        self.memory = SiteMemory(kept.memory)
        self.roster = Roster(_ALIVE_CADENCES * config.cadence_s, kept.roster)
        self.findings = FindingBook.restore(kept.findings)
        self.outbox = Outbox()
        self.details = DetailPolicy()
        self.has_spooled = asyncio.Event()
        self.has_register = asyncio.Event()
        self.newcomers = asyncio.Event()
        self.started_at = clock()
        self.scan: ScanView | None = None
        self.sweep_s: float | None = None
        self._spool_view: SpoolView | None = None
        self._disk_view: DiskView | None = None
        self._last_step: tuple[SpoolStep, datetime] | None = None
        self._aside_at: datetime | None = None
        for target in config.target:
            self.roster.add(target.address, target.family, {**config.ports, **target.ports})
        self.use_register()

    def notes(self) -> dict[str, bytes]:
        """Return what must be on the disk together with the events that came of it."""
        kept = Kept(self.memory.snapshot(), self.roster.snapshot(), self.findings.snapshot())
        return {"kept": msgspec.msgpack.encode(kept)}

    def use_register(self) -> None:
        """Go by the register at hand: who is who, and where machines should be."""
        register = self.register.current
        shown = {kept.machine: kept.identity for kept in self.memory.snapshot().machines}
        machines = () if register is None else register.machines
        if register is not None:
            self.has_register.set()
        for old in self.roster.use_register(machines, shown, self.config.ports):
            self.forget(old)
        self.newcomers.set()

    def forget(self, machine: MachineId) -> None:
        """Drop a machine that is gone, or goes by another id from now on."""
        self.memory.forget(machine)
        self.roster.forget(machine)
        self.poller.forget(machine)
        self.details.forget(machine)

    def forget_the_gone(self, now: datetime) -> None:
        """Drop machines outside the register that are long silent."""
        for machine in self.roster.prune(now):
            self.forget(machine)
        if self.register.current is not None:
            registered, placed = self.register.current.machines, self.roster.placed()
            for machine in self.memory.forget_strangers(registered, placed, now):
                self.forget(machine)

    # -- how the agent itself is ---------------------------------------------------------------

    def made_room(self, steps: tuple[SpoolStep, ...], now: datetime) -> None:
        """The spool gave something up to stay under its limit."""
        if steps:
            self._last_step = (steps[-1], now)

    def put_aside(self, now: datetime) -> None:
        """The spool holds a batch that could not be delivered."""
        self._aside_at = now

    async def look_at_disk(self) -> None:
        """See how the spool and the disk under it stand. Raises ServiceError where they fail."""
        state = await self.spool.state()
        usage = shutil.disk_usage(self.folder.path)
        self._disk_view = DiskView(free_bytes=usage.free, total_bytes=usage.total)
        step, at = self._last_step or (None, None)
        self._spool_view = SpoolView(
            size_bytes=state.size_bytes,
            limit_bytes=state.limit_bytes,
            oldest_at=state.oldest_at,
            rows_lost=state.rows_lost + self.outbox.samples_lost,
            made_room=None if step is None else step.what,
            made_room_at=at,
            aside=state.aside,
            aside_at=self._aside_at,
        )

    def view(self) -> AgentView:
        """Return what the agent knows of itself, for the rules."""
        return AgentView(
            agent=self.identity.agent,
            started_at=self.started_at,
            spool=self._spool_view,
            disk=self._disk_view,
            register_confirmed_at=self.register.confirmed_at,
            register_refused=self.register.refused,
            refused_at=self.register.refused_at,
            sweep_s=self.sweep_s,
            scan=self.scan,
        )


def parse_kept(note: bytes | None) -> Kept:
    """Return what an earlier run left; nothing where this version cannot read it."""
    if note is None:
        return Kept()
    try:
        return msgspec.msgpack.decode(note, type=Kept)
    except (msgspec.DecodeError, RecursionError):
        return Kept()
