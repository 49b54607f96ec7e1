"""What a site sends is what the center reads, and nothing hostile passes for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge import batches
from redoubt.edge.batches import MachineDetail, decode_details, decode_samples, encode_samples
from redoubt.edge.packing import pack, unpack
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.ids import MachineId, RackId
from redoubt.model.sample import COLUMNS, MEASURES, Sample
from redoubt.model.status import MachineState, MachineStatus, PowerKind

AT = datetime(2026, 11, 21, 6, 0, 0, 123000, tzinfo=UTC)

counts = st.none() | st.integers(0, 2**62)
samples = st.builds(
    Sample,
    at=st.integers(0, 10**9).map(lambda ms: AT + timedelta(milliseconds=ms)),
    machine=st.sampled_from(["m-1", "m-2", "rig 7"]).map(MachineId),
    state=st.sampled_from(MachineState),
    rack=st.sampled_from(["", "r1"]).map(RackId),
    slot=st.sampled_from(["", "1-1"]),
    power_kind=st.none() | st.sampled_from(PowerKind),
    hashrate_hs=counts,
    power_w=st.none() | st.floats(0, 1e5, width=32),
    accepted=counts,
)


def packed(table: pa.Table, compression: Any = None, times: int = 1) -> bytes:
    """A samples body with any table in it."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        for _ in range(times):
            writer.write_table(table)
    return pack(sink.getvalue().to_pybytes())


@given(st.lists(samples, max_size=30))
def test_samples_arrive_as_they_were_sent(sent: list[Sample]) -> None:
    rows = decode_samples(encode_samples(sent)).to_pylist()
    assert len(rows) == len(sent)
    for row, sample in zip(rows, sent, strict=True):
        for name, _ in COLUMNS:
            expected = getattr(sample, name)
            assert row[name] == ("" if expected is None and name == "power_kind" else expected)


def test_the_twelve_measures_are_columns() -> None:
    assert len(MEASURES) == 12
    assert set(MEASURES) <= {name for name, _ in COLUMNS}


@given(st.binary(max_size=300))
def test_no_bytes_crash_a_decoder(body: bytes) -> None:
    for decode in (decode_samples, decode_details, batches.decode_findings):
        with pytest.raises(RemoteProtocolError):
            decode(body)


@given(st.data())
def test_no_flipped_byte_crashes_the_decoder_of_samples(data: st.DataObject) -> None:
    body = encode_samples([Sample(at=AT, machine=MachineId("m"), state=MachineState.OFFLINE)])
    is_packed = data.draw(st.booleans())
    flipped = bytearray(body if is_packed else unpack(body))
    place = data.draw(st.integers(0, len(flipped) - 1))
    flipped[place] ^= data.draw(st.integers(1, 255))
    try:
        table = decode_samples(bytes(flipped) if is_packed else pack(bytes(flipped)))
    except RemoteProtocolError:
        return
    assert table.schema == batches.SAMPLE_SCHEMA


def test_foreign_columns_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="other columns"):
        decode_samples(packed(pa.table({"at": [1], "x": ["y"]})))


def test_buffers_that_arrow_compressed_are_refused_before_they_are_unpacked() -> None:
    """42 KB of these became 1.2 GB."""
    one = decode_samples(
        encode_samples([Sample(at=AT, machine=MachineId("m"), state=MachineState.HASHING)])
    )
    long = pa.DictionaryArray.from_arrays(
        pa.array([0], pa.int32()), pa.array(["a" * (256 << 20)], pa.string())
    )
    bomb = one.set_column(3, batches.SAMPLE_SCHEMA.field(3), long)
    for table in (one, bomb):
        body = packed(table, compression="zstd")
        before = pa.total_allocated_bytes()
        with pytest.raises(RemoteProtocolError, match="compressed"):
            decode_samples(body)
        assert pa.total_allocated_bytes() - before < 1 << 20
    with pytest.raises(RemoteProtocolError, match="is over"):
        decode_samples(packed(bomb))


def test_a_stream_of_many_messages_is_refused() -> None:
    one = decode_samples(
        encode_samples([Sample(at=AT, machine=MachineId("m"), state=MachineState.HASHING)])
    )
    with pytest.raises(RemoteProtocolError, match="messages"):
        decode_samples(packed(one, times=1_000))


def test_two_hundred_thousand_samples_fit_in_a_batch() -> None:
    sample = Sample(at=AT, machine=MachineId("m"), state=MachineState.HASHING, accepted=1)
    assert decode_samples(encode_samples([sample] * batches.MAX_ROWS)).num_rows == batches.MAX_ROWS


def test_a_small_body_that_claims_to_be_huge_is_refused_before_it_is_unpacked() -> None:
    body = (2**32 - 1).to_bytes(4, "little") + b"\0" * 10
    with pytest.raises(RemoteProtocolError, match="is over"):
        decode_details(body)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_ROWS", 1)
    two = [Sample(at=AT, machine=MachineId("m"), state=MachineState.HASHING)] * 2
    with pytest.raises(RemoteProtocolError, match="over 1 rows"):
        decode_samples(encode_samples(two))


def test_a_detail_arrives_as_it_was_sent() -> None:
    detail = MachineDetail(
        machine=MachineId("m-1"),
        status=MachineStatus(address="127.1.0.1", at=AT, model="<script>alert(1)</script>"),
        replies={"stats": '{"x": 1}\x00'},
    )
    assert decode_details(batches.encode_details([detail])) == [detail]
