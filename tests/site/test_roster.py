"""Who stands where: told by what machines show, never by what a hostile one would like to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redoubt.model.identity import Identity, is_synthetic
from redoubt.model.ids import MachineId, SiteId
from redoubt.model.register import Machine
from redoubt.model.status import MachineState, MachineStatus
from redoubt.site.roster import MAX_PLACES, Roster

NOW = datetime(2026, 11, 1, tzinfo=UTC)
A, B = "10.0.0.1", "10.0.0.2"


def registered(name: str, address: str | None = None, serial: str | None = None) -> Machine:
    return Machine(
        id=MachineId(name),
        site=SiteId("bunker"),
        make="Bitmain",
        model="S19",
        family="antminer",
        address=address,
        serial=serial,
    )


def answer(address: str, serial: str | None = None) -> MachineStatus:
    return MachineStatus(address=address, at=NOW, serial=serial, state=MachineState.HASHING)


def silence(address: str) -> MachineStatus:
    return MachineStatus(address=address, at=NOW, state=MachineState.OFFLINE)


def roster_of(*machines: Machine) -> Roster:
    roster = Roster(alive_s=45)
    roster.use_register(machines, {}, {})
    return roster


def test_the_register_says_what_to_read() -> None:
    roster = roster_of(registered("m1", A, "S1"), registered("m2", B))
    assert [(target.machine, target.address) for target in roster.targets()] == [
        ("m1", A),
        ("m2", B),
    ]


def test_a_registered_machine_that_is_silent_is_still_itself() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    assert roster.resolve(silence(A), NOW) == "m1"


def test_the_silence_of_an_address_where_nobody_is_expected_is_nobodys() -> None:
    roster = roster_of()
    roster.add(A, "antminer", {})
    assert roster.resolve(silence(A), NOW) is None
    assert roster.resolve(silence(B), NOW) is None


def test_a_machine_is_known_by_its_serial_wherever_it_is() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    assert roster.found(B, "antminer", {})
    assert roster.resolve(answer(B, "S1"), NOW) == "m1"
    assert [target.address for target in roster.targets() if target.machine == "m1"] == [B]
    assert roster.resolve(silence(A), NOW) is None


def test_another_machine_at_a_registered_address_is_not_the_registered_one() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    who = roster.resolve(answer(A, "S9"), NOW)
    assert who not in (None, "m1")
    assert roster.resolve(silence(A), NOW) == who


def test_a_machine_registered_by_address_alone_is_taken_at_its_word() -> None:
    roster = roster_of(registered("m1", A))
    assert roster.resolve(answer(A, "S1"), NOW) == "m1"
    assert roster.found(B, "antminer", {})
    assert roster.resolve(answer(B, "S1"), NOW + timedelta(minutes=5)) == "m1"


def test_a_machine_without_identifiers_gets_a_stable_id_of_its_own() -> None:
    roster = roster_of()
    roster.found(A, "antminer", {})
    who = roster.resolve(answer(A), NOW)
    assert who is not None
    assert is_synthetic(who)
    assert roster.resolve(answer(A), NOW) == who


def test_nobody_speaks_for_a_machine_that_answers_elsewhere() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    assert roster.resolve(answer(A, "S1"), NOW) == "m1"
    roster.found(B, "antminer", {})
    impostor = roster.resolve(answer(B, "S1"), NOW + timedelta(seconds=10))
    assert impostor not in (None, "m1")
    assert roster.resolve(answer(A, "S1"), NOW + timedelta(seconds=15)) == "m1"
    assert roster.resolve(answer(B, "S1"), NOW + timedelta(seconds=25)) == impostor


def test_an_impostor_does_not_become_the_machine_with_the_next_register() -> None:
    machine = registered("m1", None, "S1")
    roster = roster_of(machine)
    roster.found(A, "antminer", {})
    assert roster.resolve(answer(A, "S1"), NOW) == "m1"
    roster.found(B, "antminer", {})
    impostor = roster.resolve(answer(B, "S1"), NOW)
    assert impostor is not None
    shown = {impostor: Identity("S1"), MachineId("m1"): Identity("S1")}
    assert roster.use_register([machine], shown, {}) == {}
    assert {target.machine: target.address for target in roster.targets()} == {
        "m1": A,
        impostor: B,
    }


def test_a_machine_takes_its_registered_address_back() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    roster.found(B, "antminer", {})
    assert roster.resolve(answer(B, "S1"), NOW) == "m1"
    assert roster.resolve(answer(A, "S1"), NOW + timedelta(seconds=5)) == "m1"
    assert roster.resolve(answer(B, "S1"), NOW + timedelta(seconds=10)) != "m1"


def test_a_machine_found_before_it_was_registered_takes_its_registered_id() -> None:
    roster = roster_of()
    roster.found(A, "antminer", {})
    before = roster.resolve(answer(A, "S1"), NOW)
    assert before is not None
    renamed = roster.use_register([registered("m1", None, "S1")], {before: Identity("S1")}, {})
    assert renamed == {before: "m1"}
    assert [target.machine for target in roster.targets()] == ["m1"]
    assert roster.resolve(answer(A, "S1"), NOW) == "m1"


def test_an_id_stays_when_a_machine_shows_more_of_itself() -> None:
    roster = roster_of()
    roster.found(A, "antminer", {})
    mac_only = MachineStatus(address=A, at=NOW, mac="02:00:00:00:00:01")
    both = MachineStatus(address=A, at=NOW, mac="02:00:00:00:00:01", serial="S1")
    first = roster.resolve(mac_only, NOW)
    assert roster.resolve(both, NOW) == first
    roster.found(B, "antminer", {})
    later = NOW + timedelta(minutes=5)
    assert roster.resolve(answer(B, "S1"), later) == first


def test_who_stood_where_outlives_a_restart() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    roster.found(B, "axeos", {"axeos": 8080})
    roster.resolve(answer(B, "S1"), NOW)
    again = Roster(45, roster.snapshot())
    again.use_register([registered("m1", A, "S1")], {MachineId("m1"): Identity("S1")}, {})
    (target,) = [target for target in again.targets() if target.machine == "m1"]
    assert (target.address, target.family, target.ports) == (B, "axeos", {"axeos": 8080})


def test_a_place_without_a_family_waits_for_discovery() -> None:
    roster = roster_of()
    roster.add(A, None, {})
    assert roster.targets() == []
    assert roster.unidentified() == [A]
    assert roster.found(A, "axeos", {})
    assert [target.family for target in roster.targets()] == ["axeos"]
    assert not roster.found(A, "axeos", {})


def test_strangers_that_are_long_silent_are_forgotten_and_registered_ones_are_not() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    roster.found(B, "antminer", {})
    roster.resolve(answer(A, "S1"), NOW)
    stranger = roster.resolve(answer(B, "S2"), NOW)
    assert roster.prune(NOW + timedelta(days=8)) == [stranger]
    assert [target.machine for target in roster.targets()] == ["m1"]


def test_the_number_of_places_is_bounded() -> None:
    roster = roster_of()
    for number in range(MAX_PLACES + 10):
        roster.found(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "antminer", {})
    assert len(roster.targets()) == MAX_PLACES


def test_a_new_identity_at_each_reading_makes_no_machine_of_each() -> None:
    roster = roster_of()
    roster.found(A, "antminer", {})
    polls = 4 * 60 * 3
    ids = {
        roster.resolve(answer(A, f"S{poll}"), NOW + poll * timedelta(seconds=15))
        for poll in range(polls)
    }
    by_address = {machine for machine in ids if machine is not None and is_synthetic(machine)}
    assert (len(ids), len(by_address)) == (4, 1)


def test_machines_that_are_known_may_change_places_as_often_as_they_like() -> None:
    roster = roster_of(registered("m1", A, "S1"))
    roster.found(B, "antminer", {})
    known = roster.resolve(answer(B, "S2"), NOW)
    for minute in range(1, 5):
        now = NOW + timedelta(minutes=minute)
        first, second = (A, B) if minute % 2 == 0 else (B, A)
        assert roster.resolve(answer(first, "S1"), now) == "m1"
        assert roster.resolve(answer(second, "S2"), now + timedelta(seconds=1)) == known


def test_a_machine_whose_address_another_took_stands_nowhere() -> None:
    roster = roster_of()
    roster.found(A, "antminer", {})
    first = roster.resolve(answer(A, "S1"), NOW)
    assert set(roster.placed()) == {first}
    second = roster.resolve(answer(A, "S2"), NOW + timedelta(minutes=1))
    assert set(roster.placed()) == {second}
