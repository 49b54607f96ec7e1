"""The families that there are: each folder here that does not begin with `_` and has a `DRIVER`."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module, resources
from types import MappingProxyType

from redoubt.machines._driver import Driver
from redoubt.model.errors import InputError


@cache
def drivers() -> Mapping[str, Driver]:
    """Return every driver by its family's name, in the order of the names."""
    package = __name__.rpartition(".")[0]
    path = [str(resources.files(package))]
    names = sorted(
        entry.name
        for entry in pkgutil.iter_modules(path)
        if entry.ispkg and not entry.name.startswith("_")
    )
    found = {name: import_module(f"{package}.{name}").DRIVER for name in names}
    return MappingProxyType(found)


def find_driver(family: str) -> Driver:
    """Return the driver of a family. Raises InputError where there is none."""
    driver = drivers().get(family)
    if driver is None:
        raise InputError(f"expected a machine family ({', '.join(drivers())}), got {family[:80]!r}")
    return driver


def service_ports() -> dict[str, int]:
    """Return the usual port of every service of every family."""
    return {
        service: port for driver in drivers().values() for service, port in driver.services.items()
    }
