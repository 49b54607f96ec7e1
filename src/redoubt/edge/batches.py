"""What travels from a site to the center: batches, numbered by the spool that they came from.

A batch is known by (agent, epoch, seq): the agent from its certificate, the epoch a random word of
one spool file, seq its AUTOINCREMENT key. The same key must always carry the same body; the digest
lets the receiver tell. Bodies are packed (see `packing`): samples as an Arrow IPC stream, the rest
as JSON. Everything is bounded before it is decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from redoubt.edge.packing import MAX_PLAIN_BYTES, check_plain_stream, pack, unpack
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import UNPLACED, MachineId, RackId
from redoubt.model.sample import COLUMNS, Sample
from redoubt.model.status import MachineStatus

MAX_ROWS = 200_000
"""Of samples."""
MAX_EVENTS = 5_000
MAX_DETAILS = 5_000

_Shape = TypeVar("_Shape")


class BatchKind(StrEnum):
    SAMPLES = "samples"
    DETAILS = "details"
    FINDINGS = "findings"


ROW_LIMITS = {
    BatchKind.SAMPLES: MAX_ROWS,
    BatchKind.DETAILS: MAX_DETAILS,
    BatchKind.FINDINGS: MAX_EVENTS,
}
"""The most rows of one batch."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """One batch as it lies in the spool and travels. `digest` is SHA-256 of `body`."""

    epoch: str
    seq: int
    kind: BatchKind
    rows: int
    digest: bytes
    body: bytes


class MachineDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A machine's full status with its raw last replies by call name, for its page.

    Replies travel less often than statuses: where there are none, those that came before stand.
    """

    machine: MachineId
    rack: RackId = UNPLACED
    slot: str = ""
    status: MachineStatus
    replies: dict[str, str] = {}


# Made here and not at the first use: two threads that meet a struct for the first time at the same
# moment crash the process (msgspec 0.22.0).
_DETAILS = msgspec.json.Decoder(list[MachineDetail])
_FINDINGS = msgspec.json.Decoder(list[FindingEvent])
_BATCHES = msgspec.msgpack.Decoder(list[Batch])


def keep_replies(detail: MachineDetail, before: MachineDetail) -> MachineDetail:
    """Return `detail` with the replies that came before, where it brings none of its own."""
    return detail if detail.replies else msgspec.structs.replace(detail, replies=before.replies)


_ARROW_TYPES: dict[str, Any] = {
    "time_ms": pa.timestamp("ms", tz="UTC"),
    "text": pa.dictionary(pa.int32(), pa.string()),
    "int64": pa.int64(),
    "float32": pa.float32(),
}
SAMPLE_SCHEMA = pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in COLUMNS])


def body_digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def encode_samples(samples: Sequence[Sample]) -> bytes:
    """Return samples as a packed Arrow IPC stream."""
    columns = [
        pa.array(map(_getters[name], samples), type=_ARROW_TYPES[kind]) for name, kind in COLUMNS
    ]
    return encode_table(pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA))


def encode_table(table: pa.Table) -> bytes:
    """Return rows of SAMPLE_SCHEMA as a samples body."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(unify_dictionaries=True)
    with pa.ipc.new_stream(sink, SAMPLE_SCHEMA, options=options) as writer:
        writer.write_table(table.combine_chunks())
    return pack(sink.getvalue().to_pybytes())


def decode_samples(body: bytes) -> pa.Table:
    """Return the rows of a samples body, with exactly SAMPLE_SCHEMA.

    Raises RemoteProtocolError where it is anything else, or larger than a batch may be.
    """
    stream = unpack(body)
    check_plain_stream(stream)
    try:
        with pa.ipc.open_stream(stream) as reader:
            if reader.schema != SAMPLE_SCHEMA:
                raise RemoteProtocolError("samples batch has other columns than it should")
            batches, rows, plain = [], 0, 0
            for batch in reader:
                batch.validate(full=True)
                rows += batch.num_rows
                plain += batch.nbytes
                if rows > MAX_ROWS or plain > MAX_PLAIN_BYTES:
                    raise RemoteProtocolError(f"samples batch is over {MAX_ROWS} rows")
                batches.append(batch)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise RemoteProtocolError(f"samples batch cannot be read: {exc}") from exc
    return pa.Table.from_batches(batches, SAMPLE_SCHEMA)


def encode_details(details: Sequence[MachineDetail]) -> bytes:
    return pack(msgspec.json.encode(details))


def decode_details(body: bytes) -> list[MachineDetail]:
    """Raises RemoteProtocolError where the body is not a list of MachineDetail."""
    return _decode_json(body, _DETAILS)


def encode_findings(events: Sequence[FindingEvent]) -> bytes:
    return pack(msgspec.json.encode(events))


def decode_findings(body: bytes) -> list[FindingEvent]:
    """Raises RemoteProtocolError where the body is not a list of FindingEvent."""
    return _decode_json(body, _FINDINGS)


def decode_batches(body: bytes) -> list[Batch]:
    """Return the batches of one request (MessagePack); their bodies are not looked at yet.

    Raises RemoteProtocolError where it is no list of batches.
    """
    try:
        return _BATCHES.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"batches cannot be read: {exc}") from exc


def _at(sample: Sample) -> datetime:
    return sample.at.astimezone(UTC)


def _power_kind(sample: Sample) -> str:
    return sample.power_kind or ""


_getters: dict[str, Callable[[Sample], object]] = {
    **{name: attrgetter(name) for name, _ in COLUMNS},
    "at": _at,
    "power_kind": _power_kind,
}


def _decode_json(body: bytes, decoder: msgspec.json.Decoder[_Shape]) -> _Shape:
    plain = unpack(body)
    try:
        return decoder.decode(plain)
    except (ValueError, RecursionError) as exc:
        raise RemoteProtocolError(f"batch cannot be read: {exc}") from exc
