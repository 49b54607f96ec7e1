"""The inbox keeps each batch once, says only what is safe, and never swallows a changed one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge.batches import Batch, BatchKind, body_digest
from redoubt.edge.inbox import Inbox, InboxFull, Limits
from redoubt.edge.inbox_file import InboxFile
from redoubt.edge.keys import AgentIdentity
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.ids import OrganisationId, SiteId

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = AgentIdentity(OrganisationId("acme"), SiteId("bunker"), "agent-1")
OTHER = AgentIdentity(OrganisationId("zinc"), SiteId("bunker"), "agent-1")


def batch(seq: int, body: bytes = b"body", epoch: str = "e1", rows: int = 10) -> Batch:
    return Batch(epoch, seq, BatchKind.SAMPLES, rows, body_digest(body), body)


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    opened = await Inbox.open(tmp_path / "inbox.sqlite")
    yield opened
    await opened.close()


async def move(inbox: Inbox) -> list[tuple[str, int]]:
    """Carry one group on; return its keys."""
    group = await inbox.open_group(1_000_000, 1 << 30)
    if group is None:
        return []
    await inbox.close_group(group, [], NOW)
    return [(waiting.epoch, waiting.seq) for waiting in group.batches]


async def test_the_same_batch_again_is_acknowledged_again_and_kept_once(inbox: Inbox) -> None:
    first = await inbox.accept(AGENT, [batch(1), batch(2)], NOW)
    again = await inbox.accept(AGENT, [batch(2), batch(1)], NOW)
    assert first.acked == [("e1", 1), ("e1", 2)]
    assert again.acked == [("e1", 2), ("e1", 1)]
    assert await move(inbox) == [("e1", 1), ("e1", 2)]


async def test_a_late_duplicate_of_a_batch_that_was_carried_on_is_not_kept_again(
    inbox: Inbox,
) -> None:
    await inbox.accept(AGENT, [batch(1)], NOW)
    await move(inbox)
    assert (await inbox.accept(AGENT, [batch(1)], NOW)).acked == [("e1", 1)]
    assert (await inbox.state()).batches == 0


async def test_the_same_key_with_another_body_is_a_conflict_before_and_after_it_is_moved(
    inbox: Inbox,
) -> None:
    await inbox.accept(AGENT, [batch(1, b"first")], NOW)
    for _ in range(2):
        receipt = await inbox.accept(AGENT, [batch(1, b"second"), batch(2)], NOW)
        assert receipt.conflicts == [("e1", 1)]
        assert receipt.acked == [("e1", 2)]
        await move(inbox)
    (conflict,) = await inbox.conflicts()
    assert (conflict.organisation, conflict.site, conflict.agent) == ("acme", "bunker", "agent-1")
    assert (conflict.epoch, conflict.seq, conflict.at) == ("e1", 1, NOW)


async def test_agents_of_two_organisations_with_the_same_names_do_not_meet(inbox: Inbox) -> None:
    await inbox.accept(AGENT, [batch(1, b"ours")], NOW)
    receipt = await inbox.accept(OTHER, [batch(1, b"theirs")], NOW)
    assert receipt.acked == [("e1", 1)]
    group = await inbox.open_group(100, 1 << 20)
    assert group is not None
    assert {(b.organisation, b.body) for b in group.batches} == {
        ("acme", b"ours"),
        ("zinc", b"theirs"),
    }


async def test_a_group_that_was_begun_comes_again_with_the_same_batches_and_token(
    tmp_path: Path,
) -> None:
    inbox = await Inbox.open(tmp_path / "inbox.sqlite")
    await inbox.accept(AGENT, [batch(1), batch(2)], NOW)
    begun = await inbox.open_group(1_000, 1 << 20)
    await inbox.accept(AGENT, [batch(3)], NOW)
    await inbox.close()
    inbox = await Inbox.open(tmp_path / "inbox.sqlite")
    assert await inbox.open_group(1_000, 1 << 20) == begun
    assert begun is not None
    await inbox.close_group(begun, [], NOW)
    after = await inbox.open_group(1_000, 1 << 20)
    assert after is not None
    assert [waiting.seq for waiting in after.batches] == [3]
    assert after.token != begun.token
    await inbox.close()


async def test_a_group_is_no_larger_than_asked_but_holds_at_least_one_batch(inbox: Inbox) -> None:
    await inbox.accept(AGENT, [batch(seq, rows=50) for seq in range(5)], NOW)
    sizes = []
    while (group := await inbox.open_group(100, 1 << 20)) is not None:
        sizes.append(len(group.batches))
        await inbox.close_group(group, [], NOW)
    assert sizes == [2, 2, 1]
    await inbox.accept(AGENT, [batch(9, rows=5000)], NOW)
    assert await move(inbox) == [("e1", 9)]


async def test_a_full_inbox_takes_nothing_and_agents_may_come_again(tmp_path: Path) -> None:
    free = 1000
    inbox = await Inbox.open(
        tmp_path / "inbox.sqlite", Limits(pending_bytes=100, free_bytes=500), lambda: free
    )
    with pytest.raises(InboxFull, match="holds"):
        await inbox.accept(AGENT, [batch(1, b"x" * 60), batch(2, b"y" * 60)], NOW)
    assert (await inbox.state()).batches == 0
    await inbox.accept(AGENT, [batch(1, b"x" * 60)], NOW)
    free = 520
    with pytest.raises(InboxFull, match="disk"):
        await inbox.accept(AGENT, [batch(2, b"z" * 30)], NOW)
    # What is known already needs no room.
    assert (await inbox.accept(AGENT, [batch(1, b"x" * 60)], NOW)).acked == [("e1", 1)]
    free = 1000
    await inbox.accept(AGENT, [batch(2, b"z" * 30)], NOW)
    assert (await inbox.state()).batches == 2
    await inbox.close()


@pytest.mark.parametrize(
    "bad",
    [
        Batch("e1", 1, BatchKind.SAMPLES, 1, b"\0" * 32, b"not that"),
        Batch("e1", 1, BatchKind.SAMPLES, 1, b"short", b"body"),
        Batch("", 1, BatchKind.SAMPLES, 1, body_digest(b""), b""),
        Batch("e" * 65, 1, BatchKind.SAMPLES, 1, body_digest(b""), b""),
        Batch("e1", -1, BatchKind.SAMPLES, 1, body_digest(b""), b""),
        Batch("e1", 2**63, BatchKind.SAMPLES, 1, body_digest(b""), b""),
        Batch("e1", 1, BatchKind.SAMPLES, 200_001, body_digest(b""), b""),
        Batch(
            "e1",
            1,
            BatchKind.SAMPLES,
            1,
            body_digest(b"x" * (1 << 24) + b"x"),
            b"x" * ((1 << 24) + 1),
        ),
    ],
)
async def test_a_batch_out_of_bounds_is_refused_with_all_of_its_request(
    inbox: Inbox, bad: Batch
) -> None:
    with pytest.raises(RemoteProtocolError):
        await inbox.accept(AGENT, [batch(7), bad], NOW)
    assert (await inbox.state()).batches == 0


async def test_waiting_returns_at_once_for_many_rows_and_after_a_while_for_few(
    inbox: Inbox,
) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(inbox.wait_for(100, 0.01), 0.05)
    await inbox.accept(AGENT, [batch(1, rows=10)], NOW)
    await asyncio.wait_for(inbox.wait_for(100, 0.01), 5)
    await inbox.accept(AGENT, [batch(2, rows=95)], NOW)
    await asyncio.wait_for(inbox.wait_for(100, 60), 5)


async def test_what_could_not_be_carried_on_is_kept_aside_and_told(inbox: Inbox) -> None:
    await inbox.accept(AGENT, [batch(1), batch(2)], NOW)
    group = await inbox.open_group(1_000, 1 << 20)
    assert group is not None
    await inbox.close_group(group, [(group.batches[0], "unreadable", b"body")], NOW)
    (aside,) = await inbox.asides()
    assert (aside.seq, aside.why, aside.at) == (1, "unreadable", NOW)
    assert await move(inbox) == []


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60),
    st.integers(2, 8),
)
def test_whatever_the_order_each_key_is_kept_once_and_never_mistaken(
    steps: list[tuple[int, bool]], remembered: int
) -> None:
    """Also when only few digests are remembered: an old key is then a conflict, never swallowed."""
    with tempfile.TemporaryDirectory() as folder:
        file = InboxFile(Path(folder) / "inbox.sqlite", seen_per_source=remembered)
        kept: list[int] = []
        for seq, moves in steps:
            with file.transaction():
                source = file.source(AGENT, "e1")
                seen = file.has_seen(source, batch(seq))
                if seen is False:
                    file.add(source, batch(seq), NOW)
            assert (seen is False) == (seq not in kept)
            if seen is False:
                kept.append(seq)
            if moves and (group := file.open_group(1_000, 1 << 20)):
                file.close_group(group, [], NOW)
        file.close()
