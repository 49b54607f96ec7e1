"""What is in a batch: rows, details or findings, and what of it cannot be used.

Pure of time: what may be carried on depends on the batch and on when it was received, so a group
that is repeated after a crash gives the same rows again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute

from redoubt.edge.batches import (
    MachineDetail,
    decode_details,
    decode_findings,
    decode_samples,
    encode_table,
)
from redoubt.edge.inbox import InboxBatch
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.finding import FindingEvent
from redoubt.model.status import MachineStatus
from redoubt.reconcile import center_rules

OLDEST = timedelta(days=90)
"""Rows older than this when they arrive would be thrown away by the store at once."""
AHEAD = timedelta(days=1)
"""How far a site's clock may run ahead."""
OLDEST_FINDING = datetime(2009, 1, 1, tzinfo=UTC)
"""Trouble may have begun long before a row's age matters, but not before there was mining."""
MAX_TEXT_LENGTH = 128

_FIRST_CLAIM = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_CLAIM = datetime(9998, 12, 31, tzinfo=UTC)
"""What a machine may claim of time: anything that a page can add to and show in any zone."""

pc: Any = pyarrow.compute


class Aside(NamedTuple):
    """What could not be carried on of a batch: its body, or the rows that cannot be as another."""

    batch: InboxBatch
    why: str
    body: bytes


def unpack_samples(batch: InboxBatch) -> tuple[pa.Table, Aside | None]:
    """Return the rows of a batch that can be, and those that cannot.

    Raises RemoteProtocolError where it is no batch of samples.
    """
    table = decode_samples(batch.body)
    _check_rows(batch, table.num_rows)
    _check_texts(table)
    usable = _is_possible(table.column("at"), batch.received_at)
    if pc.all(usable, min_count=0).as_py():
        return table, None
    rest = table.filter(pc.invert(usable))
    why = f"{rest.num_rows} rows of an impossible time (is the site's clock right?)"
    return table.filter(usable), Aside(batch, why, encode_table(rest))


def unpack_details(batch: InboxBatch) -> list[MachineDetail]:
    """Return the details of a batch. A time that a machine claims and that cannot be is left out.

    Raises RemoteProtocolError where it is no batch of details, or one's names or time cannot be.
    """
    details = decode_details(batch.body)
    _check_rows(batch, len(details))
    oldest = batch.received_at - OLDEST
    for detail in details:
        texts = (detail.machine, detail.rack, detail.slot)
        if not detail.machine or any(_is_no_name(text) for text in texts):
            raise RemoteProtocolError("a detail whose machine, rack or slot is none")
        _check_time(detail.status.at, oldest, batch.received_at)
    return [_with_possible_claims(detail) for detail in details]


def unpack_findings(batch: InboxBatch) -> list[FindingEvent]:
    """Return the events of a batch.

    Raises RemoteProtocolError where it is no batch of findings, an event's times cannot be, or its
    rule is not a site's: one must not resolve what the center says of it, that it is dark.
    """
    events = decode_findings(batch.body)
    _check_rows(batch, len(events))
    for event in events:
        finding = event.finding
        if finding.rule in center_rules():
            raise RemoteProtocolError(f"a site cannot speak by the center's rule {finding.rule}")
        times = [finding.began_at, finding.opened_at, finding.seen_at]
        times += [evidence.at for evidence in finding.evidence]
        for at in (*times, finding.resolved_at or finding.seen_at):
            _check_time(at, OLDEST_FINDING, batch.received_at)
    return events


def _check_rows(batch: InboxBatch, rows: int) -> None:
    if rows != batch.rows:
        raise RemoteProtocolError(f"expected {batch.rows} rows, got {rows}")


def _is_possible(at: Any, received_at: datetime) -> Any:
    kind = pa.timestamp("ms", tz="UTC")
    oldest = pa.scalar(received_at - OLDEST, kind)
    newest = pa.scalar(received_at + AHEAD, kind)
    within = pc.and_(pc.greater_equal(at, oldest), pc.less_equal(at, newest))
    return pc.fill_null(within, False)


def _check_texts(table: pa.Table) -> None:
    """Raises RemoteProtocolError where a text is none of ours, or a machine is unnamed.

    A dictionary that has a word twice is none that any of our writers makes, and the store refuses
    it.
    """
    for name in ("rack", "slot", "machine", "state", "power_kind"):
        column: Any = table.column(name)
        if column.null_count:
            raise RemoteProtocolError(f"column {name} has rows without a value")
        for chunk in column.chunks:
            words = chunk.dictionary
            if words.null_count:
                raise RemoteProtocolError(f"column {name} has rows without a value")
            if pc.count_distinct(words).as_py() != len(words):
                raise RemoteProtocolError(f"column {name} has a word twice in its dictionary")
            longest = pc.max(pc.binary_length(words)).as_py()
            if longest is not None and longest > MAX_TEXT_LENGTH:
                raise RemoteProtocolError(f"column {name} has a text of {longest} bytes")
    machines: Any = table.column("machine")
    if any("" in chunk.dictionary.to_pylist() for chunk in machines.chunks):
        raise RemoteProtocolError("a row without a machine")


def _is_no_name(text: str) -> bool:
    return len(text) > MAX_TEXT_LENGTH or "\0" in text


def _check_time(at: datetime, oldest: datetime, received_at: datetime) -> None:
    if at.tzinfo is None:
        raise RemoteProtocolError(f"expected a time with its zone, got {at.isoformat()}")
    if at < oldest:
        raise RemoteProtocolError(f"{at.isoformat()} lies too long ago: is the site's clock right?")
    if at > received_at + AHEAD:
        raise RemoteProtocolError(
            f"{at.isoformat()} lies in the future: is the site's clock right?"
        )


def _with_possible_claims(detail: MachineDetail) -> MachineDetail:
    """Return a detail without the times in it, besides its own, that no page could show."""
    status = detail.status
    if all(_can_be(at) for at in _claims(status)):
        return detail
    replace = msgspec.structs.replace
    clean = replace(
        status,
        clock_at=_possible(status.clock_at),
        errors=tuple(replace(error, at=_possible(error.at)) for error in status.errors),
        sources={
            name: replace(source, at=_possible(source.at))
            for name, source in status.sources.items()
        },
    )
    return replace(detail, status=clean)


def _claims(status: MachineStatus) -> Iterable[datetime | None]:
    yield status.clock_at
    for error in status.errors:
        yield error.at
    for source in status.sources.values():
        yield source.at


def _possible(at: datetime | None) -> datetime | None:
    return at if _can_be(at) else None


def _can_be(at: datetime | None) -> bool:
    return at is None or (at.tzinfo is not None and _FIRST_CLAIM <= at <= _LAST_CLAIM)
