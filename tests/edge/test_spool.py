"""The spool loses nothing, doubles nothing, and says what it had to give up."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from redoubt.edge.batches import BatchKind, body_digest, decode_samples, encode_samples
from redoubt.edge.spool import Draft, Key, Spool, SpoolStep
from redoubt.edge.spool_file import SpoolDamaged
from redoubt.edge.spool_thread import open_spool
from redoubt.model.errors import ServiceError
from redoubt.model.ids import MachineId
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@contextmanager
def opened(path: Path, limit_bytes: int = 1 << 30) -> Iterator[Spool]:
    spool = Spool(path, limit_bytes=limit_bytes)
    try:
        yield spool
    finally:
        spool.close()


def finding(body: bytes = b"finding") -> Draft:
    return Draft(BatchKind.FINDINGS, 1, body, NOW)


def samples(at: datetime, machines: int = 400) -> Draft:
    noise = Random(at.isoformat())
    rows = [
        Sample(
            at=at,
            machine=MachineId(f"m{index}"),
            state=MachineState.HASHING,
            hashrate_hs=10**14 + noise.randrange(10**12),
            power_w=3000 + noise.random(),
        )
        for index in range(machines)
    ]
    return Draft(BatchKind.SAMPLES, len(rows), encode_samples(rows), at)


def keys(spool: Spool) -> list[Key]:
    return [(batch.epoch, batch.seq) for batch in spool.read_group(max_bytes=1 << 40)]


def test_batches_come_back_in_order_with_their_digests(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite") as spool:
        spool.append([finding(b"a"), finding(b"b")])
        group = spool.read_group()
    assert [batch.body for batch in group] == [b"a", b"b"]
    assert [batch.digest for batch in group] == [body_digest(b"a"), body_digest(b"b")]
    assert group[0].seq < group[1].seq


def test_a_drained_spool_keeps_counting_after_a_restart(tmp_path: Path) -> None:
    """A key used once never comes back: the receiver would take the new batch for the old one."""
    path = tmp_path / "spool.sqlite"
    with opened(path) as spool:
        spool.append([finding(), finding()])
        first = keys(spool)
        spool.ack(first)
        assert spool.read_group() == []
    with opened(path) as spool:
        spool.append([finding()])
        (again,) = keys(spool)
    assert again[0] == first[0][0]
    assert again[1] > first[-1][1]


def test_two_spools_never_share_an_epoch(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        one.append([finding()])
        other.append([finding()])
        assert keys(one)[0][0] != keys(other)[0][0]


def test_a_group_is_bounded_but_never_empty(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite") as spool:
        spool.append([finding(b"x" * 1000) for _ in range(10)])
        assert len(spool.read_group(max_bytes=2500)) == 2
        assert len(spool.read_group(max_bytes=1)) == 1
        assert len(spool.read_group(max_batches=3)) == 3


def test_only_what_was_acknowledged_goes(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite") as spool:
        spool.append([finding(b"a"), finding(b"b"), finding(b"c")])
        _, middle, _ = keys(spool)
        assert spool.ack([middle, ("another epoch", middle[1] + 1)]) == 1
        assert [batch.body for batch in spool.read_group()] == [b"a", b"c"]


def test_notes_are_kept_with_the_batches_they_belong_to(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with opened(path) as spool:
        assert spool.note("findings") is None
        spool.append([finding()], {"findings": b"1"})
        spool.append([], {"findings": b"2"})
    with opened(path) as spool:
        assert spool.note("findings") == b"2"


def test_a_conflict_is_renumbered_and_kept_as_evidence(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite") as spool:
        spool.append([finding(b"ours")])
        (old,) = keys(spool)
        spool.renumber([old], NOW)
        (new,) = spool.read_group()
        assert new.body == b"ours"
        assert new.epoch != old[0]
        assert new.seq > old[1]
        assert spool.state().aside == 1
        spool.append([finding(b"next")])
        assert {epoch for epoch, _ in keys(spool)} == {new.epoch}


def test_a_batch_that_the_disk_damaged_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with opened(path) as spool:
        spool.append([finding(b"good"), finding(b"bad!")])
    path_bytes = path.read_bytes()
    assert path_bytes.count(b"bad!") == 1
    path.write_bytes(path_bytes.replace(b"bad!", b"bad?"))
    with opened(path) as spool:
        assert [batch.body for batch in spool.read_group()] == [b"good"]
        assert spool.state().aside == 1
        assert spool.state().batches == 1


def test_others_cannot_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with opened(path) as spool:
        spool.append([finding()])
        modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {0o600}


def test_a_file_that_is_no_spool_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(SpoolDamaged, match="spool is damaged"):
        Spool(path)


async def test_a_damaged_spool_is_put_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    damage = b"not a database, but long enough to be taken for one" * 100
    path.write_bytes(damage)
    spool = await open_spool(path, 1 << 30)
    await spool.append([finding()])
    assert len(await spool.read_group()) == 1
    await spool.close()
    (kept,) = tmp_path.glob("spool.sqlite.damaged-*")
    assert kept.read_bytes() == damage


def test_a_spool_that_cannot_be_opened_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="spool cannot be used"):
        Spool(tmp_path / "nowhere" / "spool.sqlite")


def test_a_full_spool_thins_to_minutes_then_drops_the_oldest(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite", limit_bytes=400_000) as spool:
        steps: list[SpoolStep] = []
        rows = 0
        for index in range(240):
            draft = samples(NOW + timedelta(seconds=15 * index))
            rows += draft.rows
            steps += spool.append([draft])
            assert spool.state().size_bytes <= 400_000
        words = [step.what for step in steps]
        assert words.index("samples_thinned") < words.index("minutes_dropped")
        kept = sum(batch.rows for batch in spool.read_group(max_bytes=1 << 40))
        assert kept + spool.state().rows_lost == rows
        assert kept + sum(step.rows for step in steps) == rows


def test_thinned_minutes_keep_each_machines_last_row(tmp_path: Path) -> None:
    moments = [NOW + timedelta(seconds=15 * index) for index in range(60)]
    with opened(tmp_path / "spool.sqlite", limit_bytes=500_000) as spool:
        for at in moments:
            spool.append([samples(at)])
        tables = [decode_samples(batch.body) for batch in spool.read_group(max_bytes=1 << 40)]
    seen = [at for table in tables for at in set(table["at"].to_pylist()) if at is not None]
    minutes = {at.replace(second=0) for at in seen}
    assert minutes == {at.replace(second=0) for at in moments}
    assert len(seen) < len(moments)
    assert {45} <= {at.second for at in seen}


def test_what_was_offered_is_never_thinned(tmp_path: Path) -> None:
    """The center may hold it already, under its key and with its body."""
    with opened(tmp_path / "spool.sqlite", limit_bytes=400_000) as spool:
        spool.append([samples(NOW + timedelta(seconds=15 * index)) for index in range(8)])
        offered = {batch.seq: batch.digest for batch in spool.read_group()}
        for index in range(8, 60):
            spool.append([samples(NOW + timedelta(seconds=15 * index))])
        after = {batch.seq: batch.digest for batch in spool.read_group(max_bytes=1 << 40)}
    assert all(after[seq] == digest for seq, digest in offered.items() if seq in after)


def test_findings_are_never_dropped(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite", limit_bytes=200_000) as spool:
        spool.append([finding(bytes([index]) * 5000) for index in range(20)])
        for index in range(40):
            spool.append([samples(NOW + timedelta(seconds=15 * index))])
        spool.append([finding(bytes([index]) * 5000) for index in range(20, 60)])
        kept = spool.read_group(max_bytes=1 << 40)
    bodies = [batch.body[0] for batch in kept if batch.kind is BatchKind.FINDINGS]
    assert bodies == list(range(60))


def test_old_machine_details_go_before_any_telemetry(tmp_path: Path) -> None:
    with opened(tmp_path / "spool.sqlite", limit_bytes=400_000) as spool:
        steps: list[SpoolStep] = []
        for index in range(100):
            at = NOW + timedelta(minutes=index)
            steps += spool.append([Draft(BatchKind.DETAILS, 1, bytes(10_000), at)])
        assert {step.what for step in steps} == {"details_dropped"}
        assert spool.state().rows_lost == 0


def test_a_disk_without_room_counts_as_full(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", free_bytes=lambda: 0, reserve_bytes=0)
    steps = spool.append([samples(NOW)]) + spool.append([samples(NOW + timedelta(seconds=15))])
    assert "minutes_dropped" in {step.what for step in steps}
    spool.close()


def test_kill_9_loses_nothing_that_append_returned(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, datetime, pathlib
        from redoubt.edge.spool import Draft, Spool
        from redoubt.edge.batches import BatchKind
        spool = Spool(pathlib.Path(sys.argv[1]))
        for number in range(10**6):
            body = b"%d" % number
            at = datetime.datetime.now(datetime.UTC)
            spool.append([Draft(BatchKind.FINDINGS, 1, body, at)], {"last": body})
            print(number, flush=True)
        """
    )
    path = tmp_path / "spool.sqlite"
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(40)][-1]
        process.kill()
    with opened(path) as spool:
        numbers = [int(batch.body) for batch in spool.read_group()]
        note = int(spool.note("last") or -1)
    assert numbers == list(range(len(numbers)))
    assert numbers[-1] >= last
    assert note == numbers[-1]


class SpoolAndReceiver(RuleBasedStateMachine):
    """Any interleaving of append, offer, answer, lost answer and restart delivers each once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "spool.sqlite"
        self.spool = Spool(self.path)
        self.made = 0
        self.received: dict[Key, bytes] = {}

    @rule(count=st.integers(0, 4))
    def append(self, count: int) -> None:
        self.spool.append([finding(b"%d" % (self.made + index)) for index in range(count)])
        self.made += count

    @rule(size=st.integers(1, 5), answer_arrives=st.booleans(), part=st.integers(0, 5))
    def deliver(self, size: int, answer_arrives: bool, part: int) -> None:
        group = self.spool.read_group(max_batches=size)
        for batch in group:
            assert self.received.setdefault((batch.epoch, batch.seq), batch.body) == batch.body
        if answer_arrives:
            self.spool.ack([(batch.epoch, batch.seq) for batch in group[:part]])

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.path)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = {(batch.epoch, batch.seq): batch.body for batch in self.spool.read_group()}
        everything = self.received | waiting
        assert sorted(map(int, everything.values())) == list(range(self.made))

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()


TestSpoolAndReceiver = SpoolAndReceiver.TestCase
TestSpoolAndReceiver.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
