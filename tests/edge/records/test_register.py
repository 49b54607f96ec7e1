"""The register in the records reads back as it was written, changes whole, and counts versions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from redoubt.edge.batches import MachineDetail
from redoubt.edge.records import Records
from redoubt.model.errors import InputError
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Register
from redoubt.model.status import MachineStatus
from tests.edge.records.conftest import ACME, NOW, ZETA
from tests.model.register.registers import SMALL, registers

_NUMBERS = itertools.count()


def save(records: Records, register: Register, organisation: OrganisationId = ACME) -> int:
    version = records.register.version(organisation)
    changed = msgspec.structs.replace(register, organisation=organisation, version=version)
    return records.register.save(changed, "console", NOW)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(one=registers(), other=registers())
def test_any_register_becomes_any_other_exactly(
    records: Records, one: Register, other: Register
) -> None:
    organisation = OrganisationId(f"o-{next(_NUMBERS)}")
    for number, register in enumerate((one, other), start=1):
        assert save(records, register, organisation) == number
        loaded = records.register.load(organisation)
        assert loaded == msgspec.structs.replace(
            register, organisation=organisation, version=number
        )


def test_a_change_made_from_an_old_version_is_refused(records: Records) -> None:
    stale = records.register.load(ACME)
    save(records, SMALL)
    with pytest.raises(InputError, match="changed meanwhile"):
        records.register.save(stale, "console", NOW)
    assert records.register.load(ACME).machines == SMALL.machines


def test_a_slice_is_what_one_site_needs_and_no_more(records: Records) -> None:
    save(records, SMALL)
    bunker = records.register.slice(ACME, SiteId("bunker"), NOW)
    assert bunker is not None
    assert [machine.id for machine in bunker.machines] == ["m1"]
    assert bunker.version == 1
    hall = records.register.slice(ACME, SiteId("hall"), NOW)
    assert hall is not None
    assert (hall.pools, hall.racks) == ((), ())
    assert records.register.slice(ZETA, SiteId("bunker"), NOW) is None


def test_versions_are_of_each_organisation_and_skip_after_a_restore(records: Records) -> None:
    save(records, SMALL)
    save(records, SMALL, ZETA)
    save(records, SMALL, ZETA)
    assert records.register.versions() == {ACME: 1, ZETA: 2}
    records.register.skip_versions(1000)
    assert records.register.load(ACME).version == 1001
    assert records.register.site(ACME, SiteId("hall")) is not None
    assert records.register.site(ACME, SiteId("none")) is None


def detail(machine: str, second: int, hostname: str = "") -> MachineDetail:
    status = MachineStatus(
        address="10.0.0.1", at=NOW + timedelta(seconds=second), hostname=hostname
    )
    return MachineDetail(machine=MachineId(machine), status=status, replies={"stats": "{}\0é"})


def test_of_each_machine_the_newest_detail_stays(records: Records) -> None:
    site = SiteId("bunker")
    first, newer, late = detail("m1", 1), detail("m1", 9, "newer"), detail("m1", 5, "late")
    records.details.upsert(ACME, site, [first, newer, detail("m2", 1)])
    records.details.upsert(ACME, site, [late])
    records.details.upsert(ACME, site, [])
    assert records.details.get(ACME, site, MachineId("m1")) == newer
    assert records.details.get(ZETA, site, MachineId("m1")) is None
    assert sorted(known.machine for _, known in records.details.load(ACME)) == ["m1", "m2"]
    assert list(records.details.load(ZETA)) == []


def test_details_of_strangers_are_bounded_and_those_of_registered_machines_stay(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redoubt.edge.records.details.MAX_STRANGERS_PER_SITE", 2)
    save(records, SMALL)
    bunker, hall = SiteId("bunker"), SiteId("hall")
    records.details.upsert(ACME, hall, [detail("m1", 0), detail("g1", 0)])
    records.details.upsert(ACME, bunker, [detail("m1", 0)])
    for second in range(1, 5):
        records.details.upsert(ACME, bunker, [detail(f"g{second}", second)])
    records.details.upsert(ACME, bunker, [detail("g3", 9)])
    records.details.upsert(ACME, bunker, [detail("g5", 5)])
    kept = sorted((site, known.machine) for site, known in records.details.load(ACME))
    assert kept == [
        (bunker, "g3"),
        (bunker, "g5"),
        (bunker, "m1"),
        (hall, "g1"),
        (hall, "m1"),
    ]


def test_replies_stand_until_others_come(records: Records) -> None:
    site = SiteId("bunker")
    bare = msgspec.structs.replace(detail("m1", 9), replies={})
    records.details.upsert(ACME, site, [detail("m1", 1), bare])
    known = records.details.get(ACME, site, MachineId("m1"))
    assert known == msgspec.structs.replace(bare, replies=detail("m1", 1).replies)
    later = msgspec.structs.replace(detail("m1", 20), replies={})
    records.details.upsert(ACME, site, [later])
    known = records.details.get(ACME, site, MachineId("m1"))
    assert known == msgspec.structs.replace(later, replies=detail("m1", 1).replies)


@pytest.fixture
def reopened(records: Records, tmp_path: Path) -> Iterator[Records]:
    save(records, SMALL)
    again = Records(f"sqlite:///{tmp_path}/records.sqlite")
    yield again
    again.close()


def test_another_process_sees_what_was_saved(reopened: Records) -> None:
    assert reopened.register.load(ACME).machines == SMALL.machines
