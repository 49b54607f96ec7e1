"""A machine stays who it is when its address, or what it tells of itself, changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.identity import (
    MAX_IDENTIFIERS,
    Identity,
    IdentityBook,
    identity_of,
    is_synthetic,
    parse_mac,
    parse_serial,
)
from redoubt.model.ids import MachineId, SiteId
from redoubt.model.register import Machine
from redoubt.model.status import Board, MachineStatus

AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "02:55:97:22:3e:72",
        "02-55-97-22-3E-72",
        "025597223E72",
        "0255.9722.3e72",
        " 02:55:97:22:3E:72 ",
    ],
)
def test_a_mac_reads_the_same_however_it_is_written(text: str) -> None:
    assert parse_mac(text) == "02:55:97:22:3e:72"


@pytest.mark.parametrize(
    "text",
    [None, "", "null", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "02:55:97:22:3M:72", "aa:bb"],
)
def test_what_cannot_be_a_mac_identifies_nobody(text: str | None) -> None:
    assert parse_mac(text) is None


@pytest.mark.parametrize("text", [None, "", "N/A", "null", "0000000000", "unknown", " - "])
def test_words_that_stand_for_no_serial_identify_nobody(text: str | None) -> None:
    assert parse_serial(text) is None


def test_a_machine_keeps_its_id_when_its_serial_becomes_known() -> None:
    book = IdentityBook()
    before = book.resolve(Identity(mac="02:55:97:22:3e:72"), "10.0.0.7")
    assert book.resolve(Identity(serial="SN1", mac="02:55:97:22:3e:72"), "10.0.0.7") == before
    assert book.resolve(Identity(serial="SN1"), "10.0.0.9") == before


def test_the_register_names_a_machine_before_anything_seen_does() -> None:
    registered = Machine(
        id=MachineId("rig-7"), site=SiteId("fort"), make="Bitmain", model="S21", mac="025597223E72"
    )
    book = IdentityBook([registered])
    assert book.resolve(Identity(serial="SN1", mac="02:55:97:22:3e:72"), "10.0.0.7") == "rig-7"


def test_a_machine_without_identifiers_is_synthetic_and_stable() -> None:
    first, again = IdentityBook(), IdentityBook()
    machine = first.resolve(Identity(), "10.0.0.7")
    assert is_synthetic(machine)
    assert again.resolve(Identity(), "10.0.0.7") == machine
    assert first.resolve(Identity(), "10.0.0.8") != machine


def test_a_moved_hashboard_does_not_move_the_machine() -> None:
    status = MachineStatus(
        address="10.0.0.7",
        at=AT,
        serial="SN1",
        boards=(Board(0, serial="B1"), Board(1, serial="null")),
    )
    identity = identity_of(status)
    assert identity.hashboard_serials == ("B1",)
    assert list(identity.identifiers()) == ["serial:SN1"]


identities = st.builds(
    Identity,
    serial=st.none() | st.sampled_from(["S1", "S2", "S3"]),
    mac=st.none() | st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]),
    control_board_serial=st.none() | st.sampled_from(["C1", "C2"]),
)


@given(st.lists(st.tuples(identities, st.sampled_from(["10.0.0.1", "10.0.0.2"])), max_size=20))
def test_the_same_identity_always_has_the_same_id(seen: list[tuple[Identity, str]]) -> None:
    book = IdentityBook()
    ids = [book.resolve(identity, address) for identity, address in seen]
    assert [book.resolve(identity, address) for identity, address in seen] == ids


def test_a_machine_with_another_mac_at_each_reading_does_not_fill_the_book() -> None:
    book = IdentityBook()
    for number in range(1000):
        shown = Identity(serial="SN1", mac=f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")
        book.learn(shown, MachineId("rig-7"))
    assert len(book) == MAX_IDENTIFIERS
    assert book.find(Identity(serial="SN1")) == "rig-7"


def test_a_forgotten_machine_leaves_nothing_in_the_book() -> None:
    book = IdentityBook()
    identity = Identity(serial="SN1", mac="02:00:00:00:00:01")
    book.learn(identity, MachineId("rig-7"))
    book.learn(Identity(serial="SN2"), MachineId("rig-8"))
    book.forget(MachineId("rig-7"))
    book.forget(MachineId("rig-7"))
    assert len(book) == 1
    assert book.find(identity) is None
