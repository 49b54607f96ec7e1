"""Machines' own passwords, until the vault comes: `DIR/credentials.toml`, mode 0600.

    [[credential]]
    family = "antminer"        # optional
    range = "10.0.0.0/24"      # optional
    user = "root"
    password = "…"

The narrowest range wins; among equals one that names the family, then the first in the file.
Passwords are kept here and in no log, reply or finding.
"""

from __future__ import annotations

import ipaddress
import stat
import tomllib
from pathlib import Path

import msgspec

from redoubt.edge.miner import Login
from redoubt.machines import drivers
from redoubt.model.errors import InputError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: str
    password: str
    family: str | None = None
    range: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    credential: tuple[_Entry, ...] = ()


class _Rule(msgspec.Struct, frozen=True):
    family: str | None
    network: _Network | None
    login: Login


class Credentials:
    """Finds the login for a machine. `Credentials()` has none."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = sorted(rules, key=_breadth)

    @classmethod
    def single(cls, login: Login) -> Credentials:
        """Return credentials that give one login for every machine."""
        return cls((_Rule(None, None, login),))

    def find(self, family: str, address: str) -> Login | None:
        """Return the login for a machine of `family` at `address`, or None where none is given."""
        if not self._rules:
            return None
        try:
            at = ipaddress.ip_address(address)
        except ValueError:
            at = None
        for rule in self._rules:
            if rule.family not in (None, family):
                continue
            if rule.network is None or (at is not None and at in rule.network):
                return rule.login
        return None


def _breadth(rule: _Rule) -> tuple[int, bool]:
    bits = 0 if rule.network is None else rule.network.prefixlen + 1
    return -bits, rule.family is None


def load_credentials(path: Path) -> Credentials:
    """Return the credentials in a file; none where there is no file.

    Raises InputError where others may read the file, or it is not of the form above.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Credentials()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} cannot be read: {exc}") from exc
    if stat.S_IMODE(mode) & 0o077:
        raise InputError(f"{path} holds passwords and others may read it: run chmod 600 {path}")
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise InputError(f"{path} is not a list of credentials: {exc}") from exc
    return Credentials(tuple(_rule(path, at, entry) for at, entry in enumerate(file.credential, 1)))


def _rule(path: Path, at: int, entry: _Entry) -> _Rule:
    if entry.family is not None and entry.family not in drivers():
        known = ", ".join(drivers())
        raise InputError(
            f"{path}, credential {at}: expected a family ({known}), got {entry.family!r}"
        )
    network = None
    if entry.range is not None:
        try:
            network = ipaddress.ip_network(entry.range, strict=False)
        except ValueError as exc:
            raise InputError(f"{path}, credential {at}: {exc}") from exc
    return _Rule(entry.family, network, Login(entry.user, entry.password))
