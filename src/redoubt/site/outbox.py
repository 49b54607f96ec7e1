"""What was read and is not on the disk yet. Polling puts in and never waits; `keep_flow` takes out.

Bounded for the case that the disk takes nothing: of each machine only the last details wait, then
the oldest samples go and are counted. Finding events are never dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from redoubt.edge.batches import (
    MAX_EVENTS,
    BatchKind,
    MachineDetail,
    encode_details,
    encode_findings,
    encode_samples,
)
from redoubt.edge.spool import Draft
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import MachineId
from redoubt.model.sample import Sample

MAX_WAITING = 100_000
"""Samples that wait for the disk: 25 minutes of 1,000 machines."""
MAX_BATCH_ROWS = 50_000
_MAX_BATCH_REPLIES = 8 * 1024 * 1024


class Load(msgspec.Struct, frozen=True):
    """What one transaction of the spool takes."""

    drafts: tuple[Draft, ...]
    notes: Mapping[str, bytes]


class Outbox:
    """One owner; not for threads. `samples_lost` counts what the disk's failure has cost."""

    def __init__(self, most_waiting: int = MAX_WAITING) -> None:
        self.has_content = asyncio.Event()
        self.samples_lost = 0
        self._most_waiting = most_waiting
        self._samples: deque[Sample] = deque()
        self._details: dict[MachineId, MachineDetail] = {}
        self._events: list[FindingEvent] = []
        self._notes: dict[str, bytes] = {}

    def add_sample(self, sample: Sample) -> None:
        if len(self._samples) >= self._most_waiting:
            self._samples.popleft()
            self.samples_lost += 1
        self._samples.append(sample)
        self.has_content.set()

    def add_detail(self, detail: MachineDetail) -> None:
        """Let a machine's details take the place of those that wait; its replies are kept."""
        waiting = self._details.get(detail.machine)
        if waiting is not None and not detail.replies:
            detail = msgspec.structs.replace(detail, replies=waiting.replies)
        self._details[detail.machine] = detail
        self.has_content.set()

    def add_events(self, events: Iterable[FindingEvent], notes: Mapping[str, bytes]) -> None:
        """Add findings' events and what is to be remembered with them."""
        self._events.extend(events)
        self._notes.update(notes)
        self.has_content.set()

    def take(self, now: datetime) -> Load:
        """Return everything that waits, as drafts, and forget it."""
        drafts = [*self._sample_drafts(), *self._detail_drafts(), *self._event_drafts(now)]
        load = Load(tuple(drafts), dict(self._notes))
        self._samples.clear()
        self._details.clear()
        self._events.clear()
        self._notes.clear()
        self.has_content.clear()
        return load

    def _sample_drafts(self) -> Iterable[Draft]:
        samples = list(self._samples)
        for start in range(0, len(samples), MAX_BATCH_ROWS):
            rows = samples[start : start + MAX_BATCH_ROWS]
            yield Draft(BatchKind.SAMPLES, len(rows), encode_samples(rows), rows[0].at)

    def _detail_drafts(self) -> Iterable[Draft]:
        for details in _in_parts(list(self._details.values())):
            at = min(detail.status.at for detail in details)
            yield Draft(BatchKind.DETAILS, len(details), encode_details(details), at)

    def _event_drafts(self, now: datetime) -> Iterable[Draft]:
        for start in range(0, len(self._events), MAX_EVENTS):
            events = self._events[start : start + MAX_EVENTS]
            yield Draft(BatchKind.FINDINGS, len(events), encode_findings(events), now)


def _in_parts(details: Sequence[MachineDetail]) -> Iterable[list[MachineDetail]]:
    """Yield details in parts whose replies stay far under what a batch may hold."""
    part: list[MachineDetail] = []
    size = 0
    for detail in details:
        part.append(detail)
        size += 4096 + sum(map(len, detail.replies.values()))
        if size > _MAX_BATCH_REPLIES:
            yield part
            part, size = [], 0
    if part:
        yield part
