"""The mover carries everything on once, in order, and nothing bad holds up what is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.center.latest import LatestState
from redoubt.center.mover import Mover, Shelves
from redoubt.center.unpack import unpack_details, unpack_findings, unpack_samples
from redoubt.edge.batches import (
    Batch,
    BatchKind,
    MachineDetail,
    body_digest,
    decode_samples,
    encode_details,
    encode_findings,
    encode_samples,
    encode_table,
)
from redoubt.edge.inbox import Inbox, InboxBatch
from redoubt.edge.telemetry import SiteRows, StoreRefused, Telemetry
from redoubt.edge.telemetry.store import StoreError
from redoubt.model.errors import InputError, RemoteProtocolError, ServiceError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId
from tests.faults.papers import AGENT
from tests.faults.polls import detail, finding, poll

NOW = datetime.now(UTC)
BEGIN = NOW - timedelta(hours=1)


class Bench:
    """A mover with a real inbox and store, and shelves that remember."""

    def __init__(self, inbox: Inbox, telemetry: Telemetry) -> None:
        self.inbox = inbox
        self.telemetry = telemetry
        self.latest = LatestState()
        self.titles: list[str] = []
        self.kept: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.fault: Exception | None = None
        shelves = Shelves(
            keep_details=self._keep, apply_findings=self._apply, on_findings=self._tell
        )
        self.mover = Mover(inbox, telemetry, self.latest, shelves, lambda: NOW, linger_s=0.01)
        self._seq = 0

    async def bring(self, kind: BatchKind, rows: int, body: bytes) -> None:
        self._seq += 1
        batch = Batch("e1", self._seq, kind, rows, body_digest(body), body)
        await self.inbox.accept(AGENT, [batch], NOW)

    async def rows(self) -> int:
        return int((await self.telemetry.query("SELECT count() AS n FROM samples"))["n"][0].as_py())

    def _keep(
        self, _organisation: OrganisationId, _site: SiteId, details: Sequence[MachineDetail]
    ) -> None:
        self.kept += [known.machine for known in details]

    def _apply(
        self, _organisation: OrganisationId, _site: SiteId, events: Sequence[FindingEvent]
    ) -> None:
        if self.fault is not None:
            raise self.fault
        self.titles += [event.finding.title for event in events]

    def _tell(self, organisation: OrganisationId, site: SiteId) -> None:
        self.told.append((organisation, site))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    inbox = await Inbox.open(tmp_path / "inbox.sqlite")
    telemetry = await Telemetry.open(tmp_path / "telemetry")
    yield Bench(inbox, telemetry)
    await telemetry.close()
    await inbox.close()


async def test_samples_details_and_findings_come_where_they_belong(bench: Bench) -> None:
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.bring(BatchKind.DETAILS, 1, encode_details([detail(BEGIN, 0, 3)]))
    for number in range(5):
        body = encode_findings([finding(BEGIN, number, 3)])
        await bench.bring(BatchKind.FINDINGS, 1, body)
    await bench.mover.drain()
    assert await bench.rows() == 8
    assert bench.latest.columns(AGENT.organisation, NOW).rows == 8
    assert bench.kept == ["m-0003"]
    assert bench.titles == [f"poll {number}" for number in range(5)]
    assert bench.told == [("acme", "bunker")] * 5
    assert (await bench.inbox.state()).batches == 0


async def test_a_batch_that_cannot_be_read_is_put_aside_and_the_next_one_goes_on(
    bench: Bench,
) -> None:
    samples = encode_samples(poll(BEGIN, 0, 8))
    await bench.bring(BatchKind.SAMPLES, 8, b"no Arrow at all")
    await bench.bring(BatchKind.SAMPLES, 7, samples)
    await bench.bring(BatchKind.DETAILS, 1, b"\xff\xff\xff\xff")
    await bench.bring(BatchKind.FINDINGS, 1, b"")
    await bench.bring(BatchKind.SAMPLES, 8, samples)
    await bench.mover.drain()
    assert await bench.rows() == 8
    whys = [aside.why for aside in await bench.inbox.asides()]
    assert len(whys) == 4
    assert "expected 7 rows, got 8" in whys
    assert bench.mover.figures.asides == 4


async def test_rows_of_an_impossible_time_are_put_aside_and_the_others_kept(bench: Bench) -> None:
    rows = [*poll(BEGIN, 0, 4), *poll(NOW + timedelta(days=2), 0, 3)]
    rows += poll(datetime(1970, 1, 1, tzinfo=UTC), 0, 2)
    await bench.bring(BatchKind.SAMPLES, 9, encode_samples(rows))
    await bench.bring(BatchKind.DETAILS, 1, encode_details([detail(NOW + timedelta(days=9), 0, 1)]))
    await bench.mover.drain()
    assert await bench.rows() == 4
    whys = [aside.why for aside in await bench.inbox.asides()]
    assert "5 rows of an impossible time" in whys[0]
    assert "lies in the future" in whys[1]
    assert bench.kept == []


async def test_findings_that_the_records_refuse_are_put_aside(bench: Bench) -> None:
    bench.fault = InputError("no such site")
    await bench.bring(BatchKind.FINDINGS, 1, encode_findings([finding(BEGIN, 0, 3)]))
    await bench.mover.drain()
    (aside,) = await bench.inbox.asides()
    assert aside.why == "no such site"


async def test_a_group_that_failed_halfway_is_carried_on_again_and_counted_once(
    bench: Bench,
) -> None:
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.bring(BatchKind.FINDINGS, 1, encode_findings([finding(BEGIN, 0, 3)]))
    bench.fault = ServiceError("the disk is gone")
    with pytest.raises(ServiceError):
        await bench.mover.move_once()
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 1, 8)))
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await bench.mover.run()
    assert bench.mover.figures.failures
    assert bench.titles == []
    bench.fault = None
    await bench.mover.drain()
    assert await bench.rows() == 16
    assert bench.titles == ["poll 0"]
    sums = "SELECT sum(samples) AS n FROM site_minute FINAL"
    assert (await bench.telemetry.query(sums))["n"][0].as_py() == 16


async def test_content_that_fails_in_a_way_nobody_foresaw_is_put_aside(bench: Bench) -> None:
    bench.fault = OverflowError("date value out of range")
    await bench.bring(BatchKind.FINDINGS, 1, encode_findings([finding(BEGIN, 0, 3)]))
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.mover.drain()
    (aside,) = await bench.inbox.asides()
    assert aside.why == "OverflowError: date value out of range"
    assert await bench.rows() == 8


@pytest.fixture
def choosy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real store that refuses, besides what it does anyway, rows of machine m-0009."""
    insert = bench.telemetry.insert

    async def choose(token: str, slices: Sequence[SiteRows], on_step: Callable[[str], None]) -> int:
        if any("m-0009" in rows.table["machine"].to_pylist() for rows in slices):
            raise StoreRefused("not this one")
        return await insert(token, slices, on_step)

    monkeypatch.setattr(bench.telemetry, "insert", choose)


@pytest.mark.usefixtures("choosy")
async def test_of_samples_that_the_store_refuses_only_that_batch_is_put_aside(
    bench: Bench,
) -> None:
    for number in range(7):
        machines = 10 if number == 4 else 8
        body = encode_samples(poll(BEGIN, number, machines))
        await bench.bring(BatchKind.SAMPLES, machines, body)
    await bench.mover.drain()
    assert await bench.rows() == 6 * 8
    sums = "SELECT sum(samples) AS n FROM site_minute FINAL"
    assert (await bench.telemetry.query(sums))["n"][0].as_py() == 6 * 8
    (aside,) = await bench.inbox.asides()
    assert (aside.seq, aside.why) == (5, "not this one")


async def test_of_samples_that_cannot_be_shown_only_that_batch_is_put_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = bench.latest.apply_samples

    def choose(organisation: OrganisationId, site: SiteId, table: pa.Table, now: datetime) -> int:
        if "m-0009" in table["machine"].to_pylist():
            raise OverflowError("date value out of range")
        return show(organisation, site, table, now)

    monkeypatch.setattr(bench.latest, "apply_samples", choose)
    for number in range(5):
        machines = 10 if number == 2 else 8
        await bench.bring(
            BatchKind.SAMPLES, machines, encode_samples(poll(BEGIN, number, machines))
        )
    await bench.mover.drain()
    assert await bench.rows() == 4 * 8
    (aside,) = await bench.inbox.asides()
    assert aside.seq == 3


@pytest.mark.usefixtures("choosy")
async def test_a_group_that_was_halved_counts_once_when_it_comes_again(bench: Bench) -> None:
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.bring(BatchKind.SAMPLES, 10, encode_samples(poll(BEGIN, 1, 10)))
    await bench.bring(BatchKind.FINDINGS, 1, encode_findings([finding(BEGIN, 0, 3)]))
    bench.fault = ServiceError("the disk is gone")
    with pytest.raises(ServiceError):
        await bench.mover.move_once()
    bench.fault = None
    await bench.mover.drain()
    assert await bench.rows() == 8
    assert len(await bench.inbox.asides()) == 1


async def test_a_store_that_is_ill_puts_nothing_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> int:
        raise StoreError("the disk is full")

    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 1, 8)))
    with monkeypatch.context() as broken:
        broken.setattr(bench.telemetry, "insert", fail)
        with pytest.raises(ServiceError):
            await bench.mover.drain()
    await bench.mover.drain()
    assert await bench.rows() == 16
    assert await bench.inbox.asides() == ()


async def test_a_word_twice_in_a_dictionary_is_refused_before_the_store_sees_it(
    bench: Bench,
) -> None:
    await bench.bring(BatchKind.SAMPLES, 2, encode_table(twice_named(BEGIN)))
    await bench.bring(BatchKind.SAMPLES, 8, encode_samples(poll(BEGIN, 0, 8)))
    await bench.mover.drain()
    (aside,) = await bench.inbox.asides()
    assert aside.why == "column machine has a word twice in its dictionary"
    assert await bench.rows() == 8


def twice_named(begin: datetime) -> pa.Table:
    table = decode_samples(encode_samples(poll(begin, 0, 2)))
    names: Any = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["m", "m"]))
    place = table.column_names.index("machine")
    return table.set_column(place, table.schema.field(place), names)


@given(kind=st.sampled_from(BatchKind), body=st.binary(max_size=200), seed=st.integers(0, 10_000))
def test_no_body_however_broken_raises_anything_else(
    kind: BatchKind, body: bytes, seed: int
) -> None:
    whole = {
        BatchKind.SAMPLES: encode_samples(poll(BEGIN, 0, 3)),
        BatchKind.DETAILS: encode_details([detail(BEGIN, 0, 1)]),
        BatchKind.FINDINGS: encode_findings([finding(BEGIN, 0, 1)]),
    }[kind]
    read: dict[BatchKind, Callable[[InboxBatch], object]] = {
        BatchKind.SAMPLES: unpack_samples,
        BatchKind.DETAILS: unpack_details,
        BatchKind.FINDINGS: unpack_findings,
    }
    cut = seed % len(whole)
    for broken in (body, whole[:cut] + body + whole[cut + len(body) :], whole[:cut]):
        fields: dict[str, Any] = {**AGENT._asdict(), "epoch": "e1", "seq": 1}
        batch = InboxBatch(id=1, received_at=NOW, kind=kind, rows=3, body=broken, **fields)
        with suppress(RemoteProtocolError):
            read[kind](batch)
