"""What is in a group of batches: rows per site, details, findings, and what cannot be used.

Pure of time: what may be carried on depends on the batch and on when it was received, so a group
that is repeated after a crash gives the same rows again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute

from redoubt.edge.batches import (
    BatchKind,
    MachineDetail,
    decode_details,
    decode_findings,
    decode_samples,
)
from redoubt.edge.inbox import Group, InboxBatch
from redoubt.edge.telemetry import SiteRows
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.reconcile import center_rules

OLDEST = timedelta(days=90)
"""Rows older than this when they arrive would be thrown away by the store at once."""
AHEAD = timedelta(days=1)
"""How far a site's clock may run ahead."""
MAX_TEXT_LENGTH = 128

pc: Any = pyarrow.compute


@dataclass
class Unpacked:
    """A group's content in the order in which it came.

    `samples` has one entry per site. `asides` are (batch, why, body): the body as it came, or of
    a batch that is usable in part, the rows that are not as an Arrow stream.
    """

    samples: list[SiteRows] = field(default_factory=list)
    details: list[tuple[OrganisationId, SiteId, list[MachineDetail]]] = field(default_factory=list)
    findings: list[tuple[InboxBatch, list[FindingEvent]]] = field(default_factory=list)
    asides: list[tuple[InboxBatch, str, bytes]] = field(default_factory=list)

    def put_aside(self, batch: InboxBatch, why: str, body: bytes) -> None:
        self.asides.append((batch, why, body))


def unpack(group: Group) -> Unpacked:
    """Return what is in a group. Nothing that an agent sent raises."""
    unpacked = Unpacked()
    tables: dict[tuple[OrganisationId, SiteId], list[pa.Table]] = {}
    for batch in group.batches:
        try:
            match batch.kind:
                case BatchKind.SAMPLES:
                    table = _usable_rows(batch, unpacked)
                    tables.setdefault((batch.organisation, batch.site), []).append(table)
                case BatchKind.DETAILS:
                    details = decode_details(batch.body)
                    _check_details(details, batch.received_at)
                    unpacked.details.append((batch.organisation, batch.site, details))
                case BatchKind.FINDINGS:
                    events = decode_findings(batch.body)
                    _check_events(events, batch.received_at)
                    unpacked.findings.append((batch, events))
        except RemoteProtocolError as exc:
            unpacked.put_aside(batch, str(exc), batch.body)
    for (organisation, site), parts in tables.items():
        unpacked.samples.append(SiteRows(organisation, site, pa.concat_tables(parts)))
    return unpacked


def _usable_rows(batch: InboxBatch, unpacked: Unpacked) -> pa.Table:
    """Return the rows of a batch that can be; the rest is put aside."""
    table = decode_samples(batch.body)
    if table.num_rows != batch.rows:
        raise RemoteProtocolError(f"expected {batch.rows} rows, got {table.num_rows}")
    _check_texts(table)
    usable = _is_possible(table.column("at"), batch.received_at)
    if pc.all(usable, min_count=0).as_py():
        return table
    rest = table.filter(pc.invert(usable))
    why = f"{rest.num_rows} rows of an impossible time (is the site's clock right?)"
    unpacked.put_aside(batch, why, _arrow_stream(rest))
    return table.filter(usable)


def _is_possible(at: Any, received_at: datetime) -> Any:
    kind = pa.timestamp("ms", tz="UTC")
    oldest = pa.scalar(received_at - OLDEST, kind)
    newest = pa.scalar(received_at + AHEAD, kind)
    within = pc.and_(pc.greater_equal(at, oldest), pc.less_equal(at, newest))
    return pc.fill_null(within, False)


def _check_texts(table: pa.Table) -> None:
    """Raises RemoteProtocolError where a machine is unnamed, or a text longer than any of ours."""
    for name in ("rack", "slot", "machine", "state", "power_kind"):
        column: Any = table.column(name)
        if column.null_count:
            raise RemoteProtocolError(f"column {name} has rows without a value")
        for chunk in column.chunks:
            if chunk.dictionary.null_count:
                raise RemoteProtocolError(f"column {name} has rows without a value")
            longest = pc.max(pc.binary_length(chunk.dictionary)).as_py()
            if longest is not None and longest > MAX_TEXT_LENGTH:
                raise RemoteProtocolError(f"column {name} has a text of {longest} bytes")
    machines: Any = table.column("machine")
    if any("" in chunk.dictionary.to_pylist() for chunk in machines.chunks):
        raise RemoteProtocolError("a row without a machine")


def _check_details(details: list[MachineDetail], received_at: datetime) -> None:
    """Raises RemoteProtocolError where a detail's names or time cannot be."""
    for detail in details:
        texts = (detail.machine, detail.rack, detail.slot)
        if not detail.machine or any(len(text) > MAX_TEXT_LENGTH for text in texts):
            raise RemoteProtocolError("a detail whose machine, rack or slot is none")
        _check_time(detail.status.at, received_at)


def _check_events(events: list[FindingEvent], received_at: datetime) -> None:
    """Raises RemoteProtocolError where an event's times cannot be, or its rule is not a site's.

    A site must not resolve what the center says of it: that it is dark, or sends two bodies.
    """
    for event in events:
        finding = event.finding
        if finding.rule in center_rules():
            raise RemoteProtocolError(f"a site cannot speak by the center's rule {finding.rule}")
        times = [finding.began_at, finding.opened_at, finding.seen_at]
        times += [evidence.at for evidence in finding.evidence]
        for at in (*times, finding.resolved_at or finding.seen_at):
            _check_time(at, received_at)


def _check_time(at: datetime, received_at: datetime) -> None:
    if at.tzinfo is None:
        raise RemoteProtocolError(f"expected a time with its zone, got {at.isoformat()}")
    if at > received_at + AHEAD:
        raise RemoteProtocolError(
            f"{at.isoformat()} lies in the future: is the site's clock right?"
        )


def _arrow_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
