"""Framings give the same reply however its bytes are cut, and never anything but our errors."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge.miner.exchange import Framing
from redoubt.edge.miner.framing import CgminerFraming, HttpFraming, HttpReply, LengthFraming
from redoubt.model.errors import RemoteError

BODY = b'{"STATUS":[{"STATUS":"S"}]}'
WHOLE: list[tuple[str, bytes, Any]] = [
    ("cgminer", BODY + b"\0", BODY + b"\0"),
    ("length", len(BODY).to_bytes(4, "little") + BODY, BODY),
    (
        "http",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
        HttpReply(200, {"content-length": str(len(BODY))}, BODY),
    ),
    (
        "http",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (BODY[:5], len(BODY) - 5, BODY[5:]),
        HttpReply(200, {"transfer-encoding": "chunked"}, BODY),
    ),
]


def framing(kind: str) -> Framing[Any]:
    match kind:
        case "cgminer":
            return CgminerFraming()
        case "length":
            return LengthFraming(1 << 16)
        case _:
            return HttpFraming()


@pytest.mark.parametrize(("kind", "wire", "reply"), WHOLE)
@given(cuts=st.lists(st.integers(0, 140), max_size=6))
def test_however_it_is_cut(kind: str, wire: bytes, reply: Any, cuts: list[int]) -> None:
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    received, taker, taken = bytearray(), framing(kind), None
    for start, end in pairwise(edges):
        received += wire[start:end]
        taken = taken or taker.take(received, False)
    assert taken == reply


@pytest.mark.parametrize("kind", ["cgminer", "length", "http"])
@given(parts=st.lists(st.binary(max_size=60), max_size=6), prefix=st.sampled_from(WHOLE))
def test_any_bytes_end_in_a_reply_or_in_our_errors(
    kind: str, parts: list[bytes], prefix: tuple[str, bytes, Any]
) -> None:
    received, taker = bytearray(), framing(kind)
    with contextlib.suppress(RemoteError):
        for part in [prefix[1][: len(parts) * 13], *parts]:
            received += part
            if taker.take(received, False) is not None:
                return
        assert taker.take(received, True) is not None
