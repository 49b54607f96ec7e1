"""Replies that are nearly JSON are read; those cut short are not guessed at."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.machines._json import decode_json


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a":1}\0', {"a": 1}),
        (b'{"a":1}\0\0', {"a": 1}),
        (b'{"a":[{"b":1}{"b":2}]}', {"a": [{"b": 1}, {"b": 2}]}),
        (b'{"a":[{"b":1},{"b":2},],}', {"a": [{"b": 1}, {"b": 2}]}),
        (b'{"a":[1,,2]}', {"a": [1, 2]}),
        (b'{"a":nan,"b":-inf,"c":Infinity}', {"a": None, "b": None, "c": None}),
        (b'{"a":"b\x01c"}', {"a": "bc"}),
        (b'{"a":"}{ nan ,]"}\0\0', {"a": "}{ nan ,]"}),
        (b'{"a":"line\nbreak",}', {"a": "line\nbreak"}),
        (b'{"a":"caf\xe9",}', {"a": "caf\ufffd"}),
        (b'{"a":1} and more', {"a": 1}),
    ],
)
def test_what_machines_really_send_is_mended(body: bytes, document: Any) -> None:
    assert decode_json(body) == document


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b'{"a":1', b'{"a":"b', b'{"a":[1,2', b"<html>", b"Socket connect failed", b"{,"],
)
def test_a_reply_cut_short_is_an_error_and_not_half_a_document(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
        b'"\\' * 100_000,
        b"}" + b" " * 200_000,
        b"," * 200_000,
        b"," + b" ," * 100_000,
        b'"' * 200_001,
        b"9" * 200_000,
        b"-" * 200_000,
    ],
    ids=lambda body: body[:8].decode(),
)
def test_hostile_replies_end_quickly(body: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(ValueError):
        decode_json(body)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("body", [b"}{" * 120_000, b'{"a":' + b"nan," * 60_000, b"} " * 120_000])
def test_a_long_reply_that_is_no_json_is_not_mended(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        decode_json(body)
    assert time.process_time() - began < 0.05


_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.binary(max_size=400))
def test_any_bytes_give_a_document_or_a_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_json(body)


@given(_documents)
def test_right_json_is_left_as_it_is(document: Any) -> None:
    import json

    assert decode_json(json.dumps(document).encode() + b"\0") == document
