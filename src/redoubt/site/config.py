"""What a site agent is told: DIR/site.toml, written by `redoubt site init`, edited by people.

`targets.toml` beside it may hold more `[[target]]` tables; a virtual world writes that file.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import tomli_w

from redoubt.edge.files import write_file
from redoubt.machines import find_driver, service_ports
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.reconcile import parse_limits
from redoubt.site.folder import SiteFolder
from redoubt.site.networks import parse_networks

_Shape = TypeVar("_Shape")


class TargetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine by its address. Without a family it is found out; `ports` are unusual ones."""

    address: str
    family: str | None = None
    ports: dict[str, int] = {}


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`docs/site.md` says the same for people.

    center: the URL of the center's web port. agent_url: that of its agent port.
    cadence_s: how often each machine is read. concurrency: how many machines at once.
    networks: where machines are looked for, every `discover_every_s`.
    ports: service → port, where a whole site does not use the usual ones.
    limits: a rule's own limits, {rule: {parameter: value}}.
    """

    center: str
    agent_url: str
    organisation: OrganisationId
    site: SiteId
    cadence_s: float = 15.0
    concurrency: int = 128
    networks: tuple[str, ...] = ()
    discover_every_s: float = 600.0
    scan_rate: int = 200
    spool_limit_mb: int = 2048
    ports: dict[str, int] = {}
    limits: dict[str, dict[str, object]] = {}
    target: tuple[TargetEntry, ...] = ()


class _TargetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: tuple[TargetEntry, ...] = ()


def load_config(folder: SiteFolder) -> SiteConfig:
    """Return site.toml with the targets of both files.

    Raises InputError where DIR was not enrolled, or a file says what is not understood.
    """
    if not folder.is_enrolled:
        raise InputError(
            f"{folder.path} is no site: enrol it with `redoubt site init {folder.path}`"
        )
    config = _read(folder.config, SiteConfig)
    more = _read(folder.targets, _TargetFile).target if folder.targets.exists() else ()
    problems = _problems(config, (*config.target, *more))
    if problems:
        raise InputError(f"{folder.config}: " + "; ".join(problems))
    return msgspec.structs.replace(config, target=(*config.target, *more))


def check_config(given: Mapping[str, object]) -> None:
    """Raises InputError where a part of a configuration, given by name, cannot be used."""
    some = SiteConfig(
        center="http://localhost",
        agent_url="https://localhost",
        organisation=OrganisationId("-"),
        site=SiteId("-"),
    )
    problems = _problems(msgspec.structs.replace(some, **given), ())
    if problems:
        raise InputError("; ".join(problems))


def save_config(config: SiteConfig, folder: SiteFolder) -> None:
    """Write site.toml with everything that a person may want to change in sight."""
    table = msgspec.to_builtins(config)
    for name in ("ports", "limits", "target"):
        if not table[name]:
            del table[name]
    write_file(folder.config, tomli_w.dumps(table).encode(), mode=0o644)


def parse_center_url(text: str) -> str:
    """Return a center's URL without its trailing slash.

    Raises InputError where it is none, carries a password, or is plain http beyond loopback.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"expected a URL like https://center.example, got {text[:80]!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("expected the center's URL without user, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InputError(f"plain http is for loopback only: use https:// for {parts.hostname}")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), shape)
    except (OSError, ValueError, msgspec.ValidationError) as exc:
        raise InputError(f"{path} cannot be read: {exc}") from exc


def _problems(config: SiteConfig, targets: tuple[TargetEntry, ...]) -> list[str]:
    """Return everything that is wrong with the values, all at once."""
    problems = [
        f"expected {name} of {least} to {most}, got {getattr(config, name)}"
        for name, least, most in (
            ("cadence_s", 1, 3600),
            ("concurrency", 1, 4096),
            ("discover_every_s", 30, 7 * 86400),
            ("scan_rate", 1, 10_000),
            ("spool_limit_mb", 16, 1 << 20),
        )
        if not least <= getattr(config, name) <= most
    ]
    problems += _tried(parse_center_url, config.center)
    problems += [problem for text in config.networks for problem in _tried(_parse_network, text)]
    problems += _tried(parse_limits, config.limits)
    for service in {*config.ports, *(name for target in targets for name in target.ports)}:
        if service not in service_ports():
            problems.append(f"no family has a service {service[:40]!r}")
    for family in {target.family for target in targets if target.family is not None}:
        problems += _tried(find_driver, family)
    return problems


def _parse_network(text: str) -> None:
    parse_networks([text])


def _tried(check: Callable[[Any], object], value: object) -> list[str]:
    try:
        check(value)
    except InputError as exc:
        return [str(exc)]
    return []
