"""The inbox keeps each batch once, says only what is safe, and never swallows a changed one."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge import inbox_file
from redoubt.edge.batches import Batch, BatchKind, body_digest
from redoubt.edge.inbox import Inbox, InboxFull, Limits
from redoubt.edge.inbox_file import InboxFile
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.packing import pack
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


async def test_a_group_is_bounded_by_what_it_weighs_unpacked(inbox: Inbox) -> None:
    bodies = [b"", *(pack(bytes([seq]) * 1000) for seq in range(4))]
    await inbox.accept(AGENT, [batch(seq, body) for seq, body in enumerate(bodies)], NOW)
    group = await inbox.open_group(1_000, 2_500)
    assert group is not None
    assert [waiting.seq for waiting in group.batches] == [0, 1, 2]


async def test_an_agent_with_ever_new_epochs_is_refused(inbox: Inbox) -> None:
    for number in range(20):
        await inbox.accept(AGENT, [batch(1, epoch=f"e{number}")], NOW)
    with pytest.raises(RemoteProtocolError, match="20 spools"):
        await inbox.accept(AGENT, [batch(1, epoch="one more")], NOW)
    await inbox.accept(AGENT, [batch(2, epoch="e0")], NOW)


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
        Batch("e1", 1, BatchKind.FINDINGS, 5_001, body_digest(b""), b""),
        Batch("e1", 1, BatchKind.DETAILS, 5_001, body_digest(b""), b""),
        Batch("e1", 1, BatchKind.FINDINGS, 0, body_digest(b""), b""),
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


async def put_aside(inbox: Inbox, agent: AgentIdentity, seq: int, size: int, why: str) -> None:
    await inbox.accept(agent, [batch(seq)], NOW)
    group = await inbox.open_group(1_000, 1 << 20)
    assert group is not None
    await inbox.close_group(group, [(group.batches[0], why, bytes(size))], NOW)


async def test_one_organisations_asides_push_out_only_its_own(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_file, "MAX_ASIDE", 3)
    monkeypatch.setattr(inbox_file, "MAX_ASIDE_BYTES", 1000)
    await put_aside(inbox, OTHER, 1, 10, "theirs")
    for seq in range(5):
        await put_aside(inbox, AGENT, seq, 10, "ours")
    kept = [(aside.organisation, aside.seq) for aside in await inbox.asides()]
    assert kept == [("zinc", 1), ("acme", 2), ("acme", 3), ("acme", 4)]
    await put_aside(inbox, AGENT, 5, 985, "ours")
    kept = [(aside.organisation, aside.seq) for aside in await inbox.asides()]
    assert kept == [("zinc", 1), ("acme", 4), ("acme", 5)]


async def test_one_organisations_conflicts_push_out_only_its_own(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_file, "MAX_CONFLICTS", 2)
    for agent, count in ((OTHER, 1), (AGENT, 4)):
        for body in (b"first", b"second"):
            await inbox.accept(agent, [batch(seq, body) for seq in range(count)], NOW)
    kept = [(conflict.organisation, conflict.seq) for conflict in await inbox.conflicts()]
    assert kept == [("zinc", 0), ("acme", 2), ("acme", 3)]


async def test_a_reason_that_quotes_what_came_is_one_short_line(inbox: Inbox) -> None:
    await put_aside(inbox, AGENT, 1, 10, "got\r\n\ud800" + "x" * 1000)
    (aside,) = await inbox.asides()
    assert aside.why == "got???" + "x" * 294


def test_a_memory_full_of_gaps_stays_small_and_swallows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_file, "MAX_RANGES", 5)
    file = InboxFile(tmp_path / "inbox.sqlite", seen_per_source=10)
    source = file.source(AGENT, "e1")
    for seq in range(0, 200, 2):
        with file.transaction():
            file.add(source, batch(seq), NOW)
        group = file.open_group(1_000, 1 << 20)
        assert group is not None
        file.close_group(group, [], NOW)
    assert file.has_seen(source, batch(1)) is None
    assert file.has_seen(source, batch(198)) is True
    assert file.has_seen(source, batch(199)) is False
    with sqlite3.connect(tmp_path / "inbox.sqlite") as look:
        assert look.execute("SELECT count(*) FROM ranges").fetchone() == (5,)
    look.close()
    file.close()


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
