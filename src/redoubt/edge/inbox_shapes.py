"""What the inbox gives out: batches and groups, and what became of keys and bodies."""

from __future__ import annotations

from datetime import datetime

import msgspec

from redoubt.edge.batches import BatchKind
from redoubt.model.ids import OrganisationId, SiteId

MAX_WHY = 300


class InboxBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that lies in the inbox, with where it came from."""

    id: int
    organisation: OrganisationId
    site: SiteId
    agent: str
    epoch: str
    seq: int
    kind: BatchKind
    rows: int
    received_at: datetime
    body: bytes


class Group(msgspec.Struct, frozen=True):
    """Batches that are carried on together, again after a crash, always under the same token."""

    token: str
    batches: tuple[InboxBatch, ...]


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A key that came with two different bodies. The first one is kept."""

    organisation: OrganisationId
    site: SiteId
    agent: str
    epoch: str
    seq: int
    at: datetime


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, or the rows of one, that could not be carried on, and why."""

    organisation: OrganisationId
    site: SiteId
    agent: str
    epoch: str
    seq: int
    kind: BatchKind
    why: str
    at: datetime


def clip_why(why: str) -> str:
    """Return a reason, which may quote what came, as one printable line."""
    return "".join(char if char.isprintable() else "?" for char in why[:MAX_WHY])
