"""The site works by what its own center signed, and never goes back to an older register."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from redoubt.edge.keys import AgentIdentity, new_signing_key
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Machine, RegisterSlice, Site
from redoubt.model.register.snapshot import SignedSnapshot, sign_snapshot
from redoubt.site.register import RegisterKeeper
from tests.site.center_end import IDENTITY, NOW

KEY = new_signing_key()


def keeper(path: Path) -> RegisterKeeper:
    made = RegisterKeeper(path, KEY.public_key(), IDENTITY)
    made.load()
    return made


def snapshot(
    version: int, who: AgentIdentity = IDENTITY, machines: tuple[Machine, ...] = ()
) -> SignedSnapshot:
    register = RegisterSlice(
        organisation=who.organisation,
        version=version,
        made_at=NOW,
        site=Site(id=who.site, name="Bunker"),
        machines=machines,
    )
    return sign_snapshot(register, KEY)


def test_the_last_good_one_is_used_when_the_link_is_down(tmp_path: Path) -> None:
    path = tmp_path / "register.snapshot"
    assert keeper(path).take(snapshot(3), NOW)
    again = keeper(path)
    assert again.version == 3
    assert again.confirmed_at is None


def test_a_version_only_grows(tmp_path: Path) -> None:
    register = keeper(tmp_path / "register.snapshot")
    assert register.take(snapshot(5), NOW)
    assert not register.take(snapshot(4), NOW + timedelta(seconds=1))
    assert register.version == 5
    assert "older than version 5" in (register.refused or "")
    assert register.refused_at == NOW + timedelta(seconds=1)
    assert register.take(snapshot(6), NOW)
    assert register.refused is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: SignedSnapshot(good.body, bytes(64)),
        lambda good: SignedSnapshot(good.body.replace(b"Bunker", b"Burrow"), good.signature),
        lambda good: sign_snapshot(
            msgspec.json.decode(good.body, type=RegisterSlice), new_signing_key()
        ),
        lambda good: SignedSnapshot(b"", good.signature),
    ],
)
def test_what_the_center_did_not_sign_is_refused(tmp_path: Path, forge: object) -> None:
    register = keeper(tmp_path / "register.snapshot")
    register.take(snapshot(1), NOW)
    assert callable(forge)
    assert not register.take(forge(snapshot(2)), NOW)
    assert register.version == 1
    assert "not signed by the center" in (register.refused or "")


@pytest.mark.parametrize(
    "other",
    [
        AgentIdentity(OrganisationId("south"), IDENTITY.site, "agent-1"),
        AgentIdentity(IDENTITY.organisation, SiteId("other"), "agent-1"),
    ],
)
def test_a_register_of_another_site_is_refused(tmp_path: Path, other: AgentIdentity) -> None:
    register = keeper(tmp_path / "register.snapshot")
    assert not register.take(snapshot(9, other), NOW)
    assert register.current is None
    assert "register snapshot is of" in (register.refused or "")


def test_a_file_that_somebody_changed_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "register.snapshot"
    machine = Machine(id=MachineId("m1"), site=IDENTITY.site, make="Bitmain", model="S19")
    keeper(path).take(snapshot(1, machines=(machine,)), NOW)
    path.write_bytes(path.read_bytes().replace(b'"m1"', b'"m2"'))
    assert keeper(path).current is None
    path.write_bytes(b"\x00" * 100)
    assert keeper(path).current is None


def test_the_same_version_again_confirms_and_changes_nothing(tmp_path: Path) -> None:
    register = keeper(tmp_path / "register.snapshot")
    register.take(snapshot(1), NOW)
    assert not register.take(snapshot(1), NOW + timedelta(minutes=1))
    assert register.confirmed_at == NOW + timedelta(minutes=1)
