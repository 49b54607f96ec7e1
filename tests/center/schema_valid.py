"""Batches that are right by their schema and hostile in every value: strategies for properties."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from msgspec import inspect

from redoubt.edge.batches import SAMPLE_SCHEMA, Batch, BatchKind, MachineDetail, body_digest
from redoubt.edge.packing import pack
from redoubt.model.finding import FindingEvent

Json = Any


def batches(now: datetime, seq: int) -> st.SearchStrategy[Batch]:
    """Any batch that its schema allows: of most the center can use something, of some nothing."""

    def made(kind: BatchKind, shape: Any) -> st.SearchStrategy[Batch]:
        items = st.lists(of_shape(inspect.type_info(shape), now), min_size=1, max_size=3)
        return items.map(lambda found: _batch(kind, seq, len(found), json.dumps(found).encode()))

    return st.one_of(
        made(BatchKind.DETAILS, MachineDetail),
        made(BatchKind.FINDINGS, FindingEvent),
        tables(now).map(
            lambda table: _batch(BatchKind.SAMPLES, seq, table.num_rows, _stream(table))
        ),
        st.builds(_broken, st.sampled_from(BatchKind), st.just(seq), st.binary(max_size=20)),
    )


def of_shape(shape: inspect.Type, now: datetime) -> st.SearchStrategy[Json]:
    """JSON that msgspec takes for a type."""
    match shape:
        case inspect.StructType(fields=fields):
            required = {f.encode_name: of_shape(f.type, now) for f in fields if f.required}
            optional = {f.encode_name: of_shape(f.type, now) for f in fields if not f.required}
            return st.fixed_dictionaries(required, optional=optional)
        case inspect.UnionType(types=types):
            return st.one_of(*(of_shape(kind, now) for kind in types))
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return st.lists(of_shape(item, now), max_size=2)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(of_shape(key, now), of_shape(value, now), max_size=2)
        case inspect.EnumType(cls=cls):
            return st.sampled_from([member.value for member in cls])
        case inspect.DateTimeType():
            return moments(now)
        case inspect.IntType():
            return st.integers(-(2**63), 2**64 - 1)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.StrType():
            return words
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise AssertionError(f"say what JSON a {shape} is")


names = st.sampled_from(["m-1", "m-2", "hot", "machine_hot"])
words = st.one_of(*[names] * 18, st.just(""), st.text(max_size=12))


def moments(now: datetime) -> st.SearchStrategy[str]:
    impossible = [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        now.replace(tzinfo=None).isoformat(),
    ]
    return st.sampled_from([now.isoformat()] * 30 + impossible)


@st.composite
def tables(draw: st.DrawFn, now: datetime) -> pa.Table:
    """Rows of which one or two columns hold anything and the others what ours do."""
    rows = draw(st.integers(1, 4))
    odd = draw(st.sets(st.sampled_from(SAMPLE_SCHEMA.names), max_size=2))
    columns = [
        draw(_odd_column(field, rows) if field.name in odd else _column(field, rows, now))
        for field in SAMPLE_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA)


def _column(field: pa.Field[Any], rows: int, now: datetime) -> st.SearchStrategy[Any]:
    if pa.types.is_dictionary(field.type):
        return st.permutations(["m-1", "m-2", "hashing"]).map(
            lambda entries: _dictionary(entries, list(range(rows)))
        )
    if pa.types.is_timestamp(field.type):
        newest = int(now.timestamp() * 1000)
        return st.integers(newest - 5000, newest).map(
            lambda ms: pa.array([ms + row for row in range(rows)], field.type)
        )
    return _array(st.none() | st.integers(0, 10_000), rows, field.type)


def _odd_column(field: pa.Field[Any], rows: int) -> st.SearchStrategy[Any]:
    if pa.types.is_dictionary(field.type):
        return st.builds(
            _dictionary,
            st.lists(words | st.just("x" * 200), min_size=1, max_size=3),
            st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
        )
    if pa.types.is_floating(field.type):
        return _array(st.none() | st.floats(width=32), rows, field.type)
    return _array(st.none() | st.integers(-(2**63), 2**63 - 1), rows, field.type)


def _array(values: st.SearchStrategy[Any], rows: int, kind: Any) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=rows, max_size=rows).map(lambda them: pa.array(them, kind))


def _dictionary(entries: list[str], indices: list[int]) -> Any:
    """A column whose dictionary may have a word twice."""
    places: Any = pa.array([index % len(entries) for index in indices], pa.int32())
    return pa.DictionaryArray.from_arrays(places, pa.array(entries, pa.string()))


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _broken(kind: BatchKind, seq: int, body: bytes) -> Batch:
    return Batch("hostile", seq, kind, 1, body_digest(body), body)


def _batch(kind: BatchKind, seq: int, rows: int, plain: bytes) -> Batch:
    body = pack(plain)
    return Batch("hostile", seq, kind, rows, body_digest(body), body)
