"""What the site remembers: misses, moves, changes of identity, and the same after a restart."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from redoubt.model.identity import Identity
from redoubt.model.ids import MachineId
from redoubt.model.status import Board, MachineState, MachineStatus
from redoubt.reconcile import Change, MachineView, MemoryState, SiteMemory
from redoubt.reconcile.memory import FORGET_REPLACED_AFTER, FORGET_STRANGER_AFTER, is_other
from tests.reconcile.scenes import NOW, SITE, agent, healthy, register, registered, seconds

M1, M2 = MachineId("m1"), MachineId("m2")


def answer(at: datetime = NOW, **changes: Any) -> MachineStatus:
    return healthy(at=at, **changes)


def silence(at: datetime = NOW, address: str = "10.0.0.1") -> MachineStatus:
    return MachineStatus(address=address, at=at, state=MachineState.OFFLINE)


def view_of(memory: SiteMemory, machine: MachineId = M1, **changes: Any) -> MachineView:
    allowed = changes.get("register", register([registered()]))
    view = memory.view(SITE, allowed, agent())
    (found,) = (one for one in view.machines if one.machine == machine)
    return found


def test_a_registered_machine_is_seen_before_it_ever_answered() -> None:
    view = view_of(SiteMemory())
    assert view.status is None
    assert (view.address, view.first_seen_at) == ("10.0.0.1", None)
    assert view.expected == Identity(serial="SN0001", mac="02:00:00:00:00:01")


def test_misses_are_counted_since_the_last_answer() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M1, silence(NOW + seconds(15)))
    memory.learn(M1, silence(NOW + seconds(30)))
    assert (view_of(memory).misses, view_of(memory).last_answered_at) == (2, NOW)
    memory.learn(M1, answer(NOW + seconds(45)))
    assert (view_of(memory).misses, view_of(memory).first_seen_at) == (0, NOW)


def test_a_move_is_remembered_with_the_address_before() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M1, answer(NOW + seconds(15), address="10.0.0.9"))
    assert view_of(memory).moved == Change(at=NOW + seconds(15), address="10.0.0.1")
    assert view_of(memory).address == "10.0.0.9"


def test_a_silent_poll_at_another_address_is_no_move() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M1, silence(address="10.0.0.9"))
    memory.learn(M1, answer())
    assert view_of(memory).moved is None


def test_identifiers_not_shown_this_time_are_kept() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M1, answer(serial=None, mac=None, boards=()))
    view = view_of(memory)
    assert view.identity == Identity("SN0001", "02:00:00:00:00:01", None, ("HB0", "HB1", "HB2"))
    assert view.altered is None


@pytest.mark.parametrize(
    "changes",
    [
        {"mac": "02:00:00:00:00:77"},
        {"serial": "SN7777"},
        {"boards": (Board(0, "HB0"), Board(1, "HB9"))},
    ],
)
def test_a_contradicting_identifier_is_a_change(changes: dict[str, Any]) -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M1, answer(NOW + seconds(15), **changes))
    altered = view_of(memory).altered
    assert altered is not None
    assert altered.identity is not None
    assert altered.identity.serial == "SN0001"


def test_a_board_that_is_gone_is_no_change_of_identity() -> None:
    before = Identity(hashboard_serials=("A", "B", "C"))
    assert not is_other(before, Identity(hashboard_serials=("A", "C")))
    assert not is_other(Identity(), before)
    assert is_other(before, Identity(hashboard_serials=("A", "D")))


def test_another_machine_at_the_address_is_remembered() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    memory.learn(M2, answer(NOW + seconds(15), serial="SN2", mac=None))
    view = view_of(memory, M2)
    assert view.replaced == Change(at=NOW + seconds(15), machine=M1)


def test_a_stranger_is_in_the_view_once_it_answered() -> None:
    memory = SiteMemory()
    memory.learn(M2, silence(address="10.0.0.2"))
    assert [one.machine for one in memory.view(SITE, None, agent()).machines] == []
    memory.learn(M2, answer(address="10.0.0.2"))
    view = view_of(memory, M2)
    assert view.registered is None


def test_factory_credentials_are_remembered_until_others_are_used() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer(), factory_password=True)
    memory.learn(M1, answer())
    assert view_of(memory).factory_password is True
    memory.learn(M1, answer(), factory_password=False)
    assert view_of(memory).factory_password is False


def test_a_new_register_is_worked_by_at_once() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer())
    assert view_of(memory).expected.serial == "SN0001"
    changed = register([registered(serial="sn0002", hashboard_serials=("hb0", "0"))], version=8)
    view = view_of(memory, register=changed)
    assert view.expected == Identity("SN0002", "02:00:00:00:00:01", None, ("HB0",))


def test_a_restart_keeps_who_and_where_and_not_the_readings() -> None:
    memory = SiteMemory()
    memory.learn(M1, answer(), factory_password=True)
    memory.learn(M1, answer(NOW + seconds(15), address="10.0.0.9", mac="02:00:00:00:00:77"))
    stored = msgspec.json.decode(msgspec.json.encode(memory.snapshot()), type=MemoryState)
    again = SiteMemory(stored)
    before, after = view_of(memory), view_of(again)
    assert after == msgspec.structs.replace(before, status=None)
    again.learn(M2, answer(NOW + seconds(30), address="10.0.0.9"))
    assert view_of(again, M2).replaced == Change(at=NOW + seconds(30), machine=M1)


class TestForgetting:
    def test_a_stranger_silent_for_a_week_is_forgotten_and_a_registered_machine_is_not(
        self,
    ) -> None:
        memory = SiteMemory()
        memory.learn(M1, answer())
        memory.learn(M2, answer(address="10.0.0.2"))
        memory.forget_strangers([registered()], {M2}, NOW + FORGET_STRANGER_AFTER)
        assert memory.machine(M2) is not None
        late = NOW + FORGET_STRANGER_AFTER + seconds(1)
        assert memory.forget_strangers([registered()], {M2}, late) == [M2]
        assert memory.machine(M2) is None
        assert memory.machine(M1) is not None

    def test_a_stranger_whose_place_another_took_is_forgotten_after_an_hour(self) -> None:
        memory = SiteMemory()
        memory.learn(M1, answer())
        memory.learn(M2, answer())
        later = NOW + FORGET_REPLACED_AFTER
        assert memory.forget_strangers([], {M2}, later) == []
        assert memory.forget_strangers([], {M2}, later + seconds(1)) == [M1]

    def test_new_identities_at_every_poll_do_not_fill_the_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("redoubt.reconcile.memory.MAX_STRANGERS", 10)
        memory = SiteMemory()
        for poll in range(50):
            memory.learn(MachineId(f"m-{poll}"), answer(NOW + seconds(poll)))
        memory.forget_strangers([], set(), NOW + seconds(60))
        kept = [entry.machine for entry in memory.snapshot().machines]
        assert kept == [f"m-{poll}" for poll in range(40, 50)]

    def test_a_forgotten_machine_leaves_its_address(self) -> None:
        memory = SiteMemory()
        memory.learn(M1, answer())
        memory.forget(M1)
        memory.forget(M1)
        memory.learn(M2, answer())
        assert view_of(memory, M2).replaced is None
        assert memory.last_status(M1) is None
        assert memory.last_status(M2) == answer()
