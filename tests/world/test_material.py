"""What a world hands to a site and a center: register, map, targets, logins."""

from __future__ import annotations

import ipaddress
import json
import stat
import tomllib
from pathlib import Path

from redoubt.model.ids import check_id
from redoubt.model.register.columns import TABLES
from redoubt.model.register.csv_form import read_csv
from redoubt.world import FleetPlan, files, plan_fleet
from redoubt.world.material import (
    credentials_of,
    map_of,
    networks_of,
    register_of,
    targets_of,
)
from redoubt.world.models import SERVICES
from tests.world.talk import world_of

FLEET = plan_fleet(FleetPlan(machines=200, seed=2))
USUAL = {name: port for services in SERVICES.values() for name, port in services.items()}


def test_the_register_allows_exactly_the_installed_machines() -> None:
    register = register_of(FLEET)
    assert [machine.id for machine in register.machines] == sorted(m.id for m in FLEET)
    for table in (register.sites, register.buildings, register.racks, register.machines):
        ids = [check_id(row.id) for row in table]
        assert ids == sorted(set(ids))


def test_everything_a_machine_refers_to_is_in_the_register() -> None:
    register = register_of(FLEET)
    racks = {rack.id: rack for rack in register.racks}
    buildings = {building.id for building in register.buildings}
    owners = {owner.id for owner in register.owners}
    pools = {pool.id: pool for pool in register.pools}
    for machine in register.machines:
        assert machine.rack is not None
        assert racks[machine.rack].building in buildings
        assert machine.slot is not None
        assert 1 <= machine.slot.level <= racks[machine.rack].levels
        assert machine.owner in owners
        assert machine.pool is not None
        installed = next(m for m in FLEET if m.id == machine.id)
        assert f"{pools[machine.pool].account}.{machine.worker}" == installed.worker


def test_the_site_says_that_it_is_virtual_and_allows_a_little_more_than_it_draws() -> None:
    (site,) = register_of(FLEET).sites
    drawn_w = sum(machine.model.power_w for machine in FLEET)
    assert site.virtual
    assert "irtual" in site.name
    assert site.allowance_w is not None
    assert drawn_w < site.allowance_w < 1.1 * drawn_w


def test_networks_hold_every_machine_and_not_much_more() -> None:
    (network,) = map(ipaddress.ip_network, networks_of(FLEET))
    assert all(ipaddress.ip_address(machine.address) in network for machine in FLEET)
    assert network.num_addresses <= 256


def test_targets_name_ports_only_where_they_are_unusual() -> None:
    assert all("ports" not in row for row in targets_of(FLEET, USUAL))
    rows = targets_of(FLEET, {**USUAL, "antminer.web": 10080})
    for row in rows:
        expected = {"antminer.web": 10080} if row["family"] == "antminer" else None
        assert row.get("ports") == expected


def test_credentials_give_every_changed_password_its_own_row() -> None:
    first, *others = credentials_of(FLEET)
    assert first == {"family": "antminer", "user": "root", "password": "root"}
    changed = {f"{m.address}/32": m.password for m in FLEET if m.password != "root"}
    assert {row["range"]: row["password"] for row in others} == changed
    assert len(changed) > 10


def test_the_map_says_that_it_is_virtual_and_where_everything_is() -> None:
    document = json.loads(json.dumps(map_of(FLEET, USUAL, "127.20.0.0/16", 2)))
    assert document["virtual"] is True
    assert len(document["machines"]) == 200
    assert document["ports"] == USUAL
    assert "password" not in document["machines"][0]


async def test_files_are_written_whole_and_for_their_owner_only(tmp_path: Path) -> None:
    async with world_of(20) as world:
        files.write_map(tmp_path / "map.json", world)
        files.write_targets(tmp_path / "targets.toml", world)
        files.write_register(tmp_path / "register", world.machines)
        files.write_credentials(tmp_path / "credentials.toml", world.machines)
        machines = world.machines
    assert len(json.loads((tmp_path / "map.json").read_bytes())["machines"]) == 20
    targets = tomllib.loads((tmp_path / "targets.toml").read_text())["target"]
    assert [row["address"] for row in targets] == [machine.address for machine in machines]
    for table in TABLES:
        name = f"{table.name}.csv"
        _, problems = read_csv(name, (tmp_path / "register" / name).read_bytes())
        assert problems == ()
    mode = (tmp_path / "credentials.toml").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
