"""A site works by the register of the center it enrolled with, and by no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redoubt.model.errors import RemoteProtocolError
from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    OwnerId,
    PoolId,
    RackId,
    SiteId,
)
from redoubt.model.register import (
    Building,
    Machine,
    Owner,
    Pool,
    Rack,
    Register,
    Site,
    slice_register,
)
from redoubt.model.register.snapshot import SignedSnapshot, open_snapshot, sign_snapshot

AT = datetime(2026, 11, 21, tzinfo=UTC)
FORT = Site(id=SiteId("fort"), name="Fort", allowance_w=3.5e6)
REGISTER = Register(
    organisation=OrganisationId("acme"),
    version=7,
    owners=(Owner(OwnerId("anna"), "Anna"), Owner(OwnerId("ben"), "Ben")),
    pools=(Pool(PoolId("main"), "Main", "stratum+tcp://pool.example:3333", "acme"),),
    sites=(FORT, Site(id=SiteId("other"), name="Other")),
    buildings=(
        Building(BuildingId("hall"), SiteId("fort"), "Hall"),
        Building(BuildingId("shed"), SiteId("other"), "Shed"),
    ),
    racks=(
        Rack(id=RackId("r1"), building=BuildingId("hall"), name="R1", levels=5, positions=4),
        Rack(id=RackId("r9"), building=BuildingId("shed"), name="R9", levels=5, positions=4),
    ),
    machines=(
        Machine(
            id=MachineId("a"),
            site=SiteId("fort"),
            make="Bitmain",
            model="S21",
            owner=OwnerId("anna"),
        ),
        Machine(
            id=MachineId("b"),
            site=SiteId("other"),
            make="Bitmain",
            model="S21",
            owner=OwnerId("ben"),
        ),
    ),
)


def test_a_slice_holds_what_its_site_needs_and_nothing_of_another() -> None:
    fort = slice_register(REGISTER, FORT, AT)
    assert [machine.id for machine in fort.machines] == ["a"]
    assert [owner.id for owner in fort.owners] == ["anna"]
    assert [rack.id for rack in fort.racks] == ["r1"]
    assert [building.id for building in fort.buildings] == ["hall"]
    assert fort.pools == ()


def test_a_snapshot_opens_with_the_key_that_signed_it() -> None:
    key = Ed25519PrivateKey.generate()
    fort = slice_register(REGISTER, FORT, AT)
    assert open_snapshot(sign_snapshot(fort, key), key.public_key()) == fort


def test_a_snapshot_of_another_key_or_with_one_byte_changed_is_refused() -> None:
    key, thief = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    snapshot = sign_snapshot(slice_register(REGISTER, FORT, AT), key)
    changed = SignedSnapshot(snapshot.body.replace(b"3500000", b"9500000"), snapshot.signature)
    with pytest.raises(RemoteProtocolError, match="not signed by the center"):
        open_snapshot(snapshot, thief.public_key())
    with pytest.raises(RemoteProtocolError, match="not signed by the center"):
        open_snapshot(changed, key.public_key())
