"""Whatever a machine sends, a status comes of it: bounded, encodable, and never an exception."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.machines import Failure, Reply, drivers, parse_status
from redoubt.machines._read import MAX_BOARDS, MAX_ERRORS, MAX_FANS, MAX_POOLS, MAX_TEXT
from redoubt.model.ids import MachineId
from redoubt.model.sample import sample_of
from redoubt.model.status import MachineStatus
from tests.machines.replies import NOW, antminer, axeos, new_stats, whatsminer

FAMILIES = sorted(drivers())
GOOD: dict[str, list[dict[str, Any]]] = {
    "antminer": [antminer(), antminer(stats=new_stats())],
    "whatsminer_v3": [whatsminer()],
    "axeos": [axeos()],
}

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "-", "nan", "1e999", "<script>", "\u202e", "x" * 5000, "60--5-", 10**400]),
    st.lists(st.integers() | st.text(max_size=3), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    st.builds(lambda: [{} for _ in range(500)]),
)


@st.composite
def mutated(draw: st.DrawFn, family: str) -> dict[str, Any]:
    """Return good replies in which some values were swapped for others."""
    replies = json.loads(json.dumps(draw(st.sampled_from(GOOD[family]))))
    for _ in range(draw(st.integers(1, 4))):
        _swap(draw, replies)
    return dict(replies)


def _swap(draw: st.DrawFn, node: Any) -> None:
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = node[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            node = inner
            continue
        node[key] = draw(odd_values)
        return


def check(status: MachineStatus) -> None:
    """Assert what holds of every status, whatever it came from."""
    assert len(status.boards) <= MAX_BOARDS
    assert len(status.fans) <= MAX_FANS
    assert len(status.pools) <= MAX_POOLS
    assert len(status.errors) <= MAX_ERRORS
    assert len(status.notes) < 400
    encoded = msgspec.json.encode(status)
    assert len(encoded) < 200_000
    msgspec.json.decode(encoded, type=MachineStatus)
    for value in _numbers(msgspec.to_builtins(status)):
        assert math.isfinite(value)
    for text in (status.model, status.firmware, status.serial, status.mac, status.hostname):
        assert text is None or (0 < len(text) <= MAX_TEXT and text.isprintable())
    sample_of(MachineId("m"), status)


def _numbers(node: Any) -> list[float]:
    if isinstance(node, dict):
        return [number for inner in node.values() for number in _numbers(inner)]
    if isinstance(node, list | tuple):
        return [number for inner in node for number in _numbers(inner)]
    return [float(node)] if isinstance(node, int | float) else []


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
def test_good_replies_with_odd_values(family: str, data: st.DataObject) -> None:
    documents = data.draw(mutated(family))
    replies = {
        name: Reply(json.dumps(document).encode(), NOW) for name, document in documents.items()
    }
    check(parse_status(family, replies, NOW))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
def test_good_replies_that_are_cut_or_mangled(family: str, data: st.DataObject) -> None:
    replies: dict[str, Reply | Failure] = {}
    for name, document in data.draw(st.sampled_from(GOOD[family])).items():
        body = json.dumps(document).encode()
        at = data.draw(st.integers(0, len(body)))
        tail = data.draw(st.sampled_from([b"", body[at + 1 :], b"\0", b"}{" + body[at:], b"]" * 9]))
        replies[name] = Reply(body[:at] + tail, NOW)
    check(parse_status(family, replies, NOW))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"0", b'"x"', b"[[[[]]]]", b"[" * 900 + b"]" * 900],
    ids=lambda body: body[:8].decode() or "empty",
)
def test_documents_of_another_shape(family: str, body: bytes) -> None:
    reply = Reply(body, NOW)
    check(parse_status(family, {call.name: reply for call in drivers()[family].calls}, NOW))


@pytest.mark.parametrize("family", FAMILIES)
def test_deep_values_where_words_are_expected(family: str) -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    for good in GOOD[family]:
        for name, document in good.items():
            changed = dict.fromkeys(document, deep)
            reply = Reply(json.dumps(changed).encode(), NOW)
            check(parse_status(family, {name: reply}, NOW))
            assert drivers()[family].is_family(changed) in (True, False)
