"""The files that a world writes for those who will watch it, each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import tomli_w

from redoubt.edge.files import write_file
from redoubt.model.errors import InputError
from redoubt.model.register.columns import TABLES
from redoubt.model.register.csv_form import write_csv
from redoubt.world.fleet import VirtualMachine
from redoubt.world.material import credentials_of, map_of, register_of, targets_of
from redoubt.world.running import World


def write_map(path: Path, world: World) -> None:
    """Write where everything is, as JSON. Its appearance means that every machine listens."""
    fleet = world.plan.fleet
    document = map_of(world.machines, world.ports, fleet.network, fleet.seed)
    write_file(path, msgspec.json.format(msgspec.json.encode(document), indent=1))


def write_targets(path: Path, world: World) -> None:
    """Write the machines as a site's targets.toml."""
    rows = targets_of(world.machines, world.ports)
    write_file(path, tomli_w.dumps({"target": rows}).encode())


def write_credentials(path: Path, machines: Sequence[VirtualMachine]) -> None:
    """Write the machines' logins in the form of a site's credentials.toml, mode 0600."""
    write_file(path, tomli_w.dumps({"credential": credentials_of(machines)}).encode())


def write_register(folder: Path, machines: Sequence[VirtualMachine]) -> None:
    """Write the register of a world as CSV, a file per table, into a folder made if absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InputError(f"{folder} cannot be made: {exc.strerror}") from exc
    register = register_of(machines)
    for table in TABLES:
        write_file(folder / f"{table.name}.csv", write_csv(register, table).encode())
