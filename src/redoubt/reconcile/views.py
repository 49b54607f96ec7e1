"""What a rule may look at: one machine, one site, or what only the center sees.

Views are values that a program fills from what it knows; a rule never asks for more. What a program
cannot tell is None, and rules then do not judge. `memory.SiteMemory` makes the site's views.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from redoubt.model.identity import Identity
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Machine, RegisterSlice
from redoubt.model.status import MachineStatus


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine showed before its last change, and when the change was seen.

    `address` is set where it moved, `identity` where its identifiers changed, `machine` where
    another machine had its address until then.
    """

    at: datetime
    address: str | None = None
    identity: Identity | None = None
    machine: MachineId | None = None


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """One machine, registered or seen or both.

    address: where it was last tried; "" where no address is known.
    status: the last reading, of state `offline` where the last poll had no answer; None where it
        was never polled.
    misses: polls without an answer since the last answer.
    last_answered_at: None where it never answered this agent.
    identity: the identifiers that it showed, the latest of each; expected: the register's.
    factory_password: whether it accepted its family's factory credentials; None where not tried.
    """

    machine: MachineId
    address: str = ""
    registered: Machine | None = None
    status: MachineStatus | None = None
    misses: int = 0
    first_seen_at: datetime | None = None
    last_answered_at: datetime | None = None
    identity: Identity = Identity()
    expected: Identity = Identity()
    moved: Change | None = None
    altered: Change | None = None
    replaced: Change | None = None
    factory_password: bool | None = None


class StrangeAddress(msgspec.Struct, frozen=True):
    """An address that answers on a machine's port without speaking an API that we know."""

    address: str
    at: datetime
    text: str


class ScanView(msgspec.Struct, frozen=True, kw_only=True):
    """The last discovery: when it ended, what it could not tell, and what it did not try.

    `untried` counts addresses that the discovery had to leave out; `why_untried` is a sentence.
    """

    ended_at: datetime
    strangers: tuple[StrangeAddress, ...] = ()
    untried: int = 0
    why_untried: str = ""


class SpoolView(msgspec.Struct, frozen=True, kw_only=True):
    """How the agent's spool stands.

    oldest_at: the time of the oldest batch that the center has not acknowledged.
    rows_lost: telemetry rows that made room since the spool began.
    made_room: the last step that made room, as the spool calls it ("samples_thinned"), and when.
    aside: batches that could not be delivered, since the spool began; `aside_at` the last one.
    """

    size_bytes: int
    limit_bytes: int
    oldest_at: datetime | None = None
    rows_lost: int = 0
    made_room: str | None = None
    made_room_at: datetime | None = None
    aside: int = 0
    aside_at: datetime | None = None


class DiskView(msgspec.Struct, frozen=True):
    """The file system that data lies on, in bytes."""

    free_bytes: int
    total_bytes: int


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent knows of itself. None where it has not looked yet.

    register_confirmed_at: when the center last said that our snapshot is the newest.
    register_refused: why the newest snapshot was not taken, a sentence; None where it was.
    sweep_s: how long the last sweep over all machines took.
    """

    agent: str
    started_at: datetime
    spool: SpoolView | None = None
    disk: DiskView | None = None
    register_confirmed_at: datetime | None = None
    register_refused: str | None = None
    refused_at: datetime | None = None
    sweep_s: float | None = None
    scan: ScanView | None = None


class SiteView(msgspec.Struct, frozen=True, kw_only=True):
    """All that a site's agent can see at one moment. `register` is None before the first snapshot.

    `machines` holds every registered machine and every other one that answered, once each.
    """

    site: SiteId
    agent: AgentView
    machines: tuple[MachineView, ...]
    register: RegisterSlice | None = None
    cadence_s: float = 15.0


class AgentSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as the center knows it.

    `last_contact_at` is None where it enrolled and never came; `knocked_at` is when it last tried
    to connect after it was revoked.
    """

    agent: str
    site: SiteId
    enrolled_at: datetime
    last_contact_at: datetime | None = None
    certificate_expires_at: datetime | None = None
    revoked_at: datetime | None = None
    knocked_at: datetime | None = None
    knock_address: str = ""


class BatchConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that came with the key of another one and a different body."""

    agent: str
    epoch: str
    seq: int
    at: datetime


class BatchAside(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, or rows of one, that the center took in and could not use; `why` is a sentence."""

    agent: str
    at: datetime
    why: str


class CenterView(msgspec.Struct, frozen=True, kw_only=True):
    """What only the center can know of one organisation.

    `disk` is given to the organisation that runs the center, and is None for the others.
    """

    organisation: OrganisationId
    agents: tuple[AgentSeen, ...] = ()
    conflicts: tuple[BatchConflict, ...] = ()
    asides: tuple[BatchAside, ...] = ()
    disk: DiskView | None = None
