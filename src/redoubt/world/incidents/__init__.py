"""What goes wrong, and when: scripts in TOML, checked as a whole before anything runs.

A script is a title and a list of `[[incident]]` tables. Each says `at_s` (seconds since the world
opened), a `kind`, whom it strikes (`machine`, or `family` / `rack` / `count` to let the seed
choose), for how long (`lasts_s`; absent: for good), and what its kind needs besides.
"""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from redoubt.model.errors import InputError
from redoubt.world.misbehaviour import Misbehaviour
from redoubt.world.models import SERVICES

MAX_SCRIPT_BYTES = 1 << 20


class Kind(StrEnum):
    """What can happen. Racks are struck by hot_rack and power_tripped, the site by heat_wave."""

    FAN_FAILURE = "fan_failure"
    BOARD_LOST = "board_lost"
    CHIPS_LOST = "chips_lost"
    PSU_FAILURE = "psu_failure"
    HOT_RACK = "hot_rack"
    HEAT_WAVE = "heat_wave"
    POWER_TRIPPED = "power_tripped"
    REBOOTED = "rebooted"
    UNDER_HASHING = "under_hashing"
    LYING_FIRMWARE = "lying_firmware"
    HIJACKED = "hijacked"
    STRANGER_APPEARS = "stranger_appears"
    ADDRESS_CHANGED = "address_changed"
    MISBEHAVES = "misbehaves"


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One incident.

    fan, board: index from 0. chips: how many go silent. airflow: share of the air that is left.
    celsius: how much warmer it gets. factor: share of the clock (under_hashing), or of the truth
    that is claimed (lying_firmware).
    """

    at_s: float
    kind: Kind
    machine: str | None = None
    family: str | None = None
    rack: str | None = None
    count: int = 1
    lasts_s: float | None = None
    fan: int = 0
    board: int = 1
    chips: int = 8
    airflow: float = 0.35
    celsius: float = 8.0
    factor: float | None = None
    how: Misbehaviour | None = None


class Script(msgspec.Struct, frozen=True):
    """Incidents in the order of their time."""

    title: str
    incidents: tuple[Incident, ...] = ()

    @property
    def strangers(self) -> int:
        """How many machines outside the register the script will switch on."""
        return sum(i.count for i in self.incidents if i.kind is Kind.STRANGER_APPEARS)

    @property
    def moves(self) -> int:
        """How many machines the script will move to another address."""
        return sum(i.count for i in self.incidents if i.kind is Kind.ADDRESS_CHANGED)


_OWN_FIELDS: dict[Kind, frozenset[str]] = {
    Kind.FAN_FAILURE: frozenset({"fan"}),
    Kind.BOARD_LOST: frozenset({"board"}),
    Kind.CHIPS_LOST: frozenset({"board", "chips"}),
    Kind.HOT_RACK: frozenset({"airflow"}),
    Kind.HEAT_WAVE: frozenset({"celsius"}),
    Kind.UNDER_HASHING: frozenset({"factor"}),
    Kind.LYING_FIRMWARE: frozenset({"factor"}),
    Kind.MISBEHAVES: frozenset({"how"}),
}
_PARAMETERS = frozenset().union(*_OWN_FIELDS.values())
_RACK_KINDS = frozenset({Kind.HOT_RACK, Kind.POWER_TRIPPED})
_ONCE_KINDS = frozenset({Kind.REBOOTED})
_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*incident[ \t]*\]\]", re.MULTILINE)


def load_script(name: str) -> Script:
    """Return the script of a file, or the packaged one of that name ("demo").

    Raises InputError where there is none, or it is not a script.
    """
    packaged = resources.files(__name__) / f"{name}.toml"
    if re.fullmatch(r"[a-z0-9-]+", name) and packaged.is_file():
        return parse_script(packaged.read_text(encoding="utf-8"), f"{name}.toml")
    path = Path(name)
    try:
        if path.stat().st_size > MAX_SCRIPT_BYTES:
            raise InputError(f"{name}: a script is at most {MAX_SCRIPT_BYTES} bytes")
        return parse_script(path.read_text(encoding="utf-8"), name)
    except FileNotFoundError as exc:
        known = ", ".join(packaged_scripts())
        raise InputError(f"no incident script {name!r}; packaged ones: {known}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"incident script {name!r} cannot be read: {exc}") from exc


def packaged_scripts() -> list[str]:
    """Return the names of the scripts that come with the world."""
    entries = resources.files(__name__).iterdir()
    return sorted(
        entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")
    )


def parse_script(text: str, name: str = "script") -> Script:
    """Return the script that `text` holds.

    Raises InputError that names every incident that cannot be, with its line.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise InputError(f"{name}: not TOML: {exc}") from exc
    rows = document.get("incident", [])
    unknown = sorted(set(document) - {"title", "incident"})
    if unknown:
        raise InputError(f"{name}: expected only title and [[incident]], got {unknown[0]!r}")
    if not isinstance(rows, list) or not isinstance(document.get("title", ""), str):
        raise InputError(f"{name}: expected a title and a list of [[incident]] tables")
    lines = [text.count("\n", 0, match.start()) + 1 for match in _TABLE.finditer(text)]
    problems: list[str] = []
    incidents: list[Incident] = []
    for number, row in enumerate(rows):
        try:
            incidents.append(_parse_incident(row))
        except (msgspec.ValidationError, ValueError) as exc:
            where = f"line {lines[number]}" if len(lines) == len(rows) else f"no. {number + 1}"
            problems.append(f"{name}, incident at {where}: {exc}")
    if problems:
        raise InputError("; ".join(problems))
    incidents.sort(key=lambda incident: incident.at_s)
    return Script(document.get("title", name), tuple(incidents))


def _parse_incident(row: Any) -> Incident:
    """Raises ValueError or msgspec.ValidationError, both saying what was expected."""
    incident = msgspec.convert(row, Incident)
    kind = incident.kind
    misplaced = sorted((set(row) & _PARAMETERS) - _OWN_FIELDS.get(kind, frozenset()))
    if misplaced:
        raise ValueError(f"{kind} takes no {misplaced[0]!r}")
    if kind in _RACK_KINDS and (incident.machine or incident.family):
        raise ValueError(f"{kind} strikes a rack: give rack, or nothing to let the seed choose")
    if kind in _ONCE_KINDS and incident.lasts_s is not None:
        raise ValueError(f"{kind} is over at once: it takes no lasts_s")
    if kind is Kind.MISBEHAVES and incident.how is None:
        raise ValueError("misbehaves needs how, one of " + ", ".join(Misbehaviour))
    if incident.family is not None and incident.family not in SERVICES:
        raise ValueError(f"expected family of {', '.join(SERVICES)}, got {incident.family!r}")
    _check_ranges(incident)
    return incident


def _check_ranges(incident: Incident) -> None:
    if not 0 <= incident.at_s <= 1e7:
        raise ValueError(f"expected at_s of 0 to 10,000,000 seconds, got {incident.at_s}")
    if incident.lasts_s is not None and not incident.lasts_s > 0:
        raise ValueError(f"expected lasts_s over 0 seconds, got {incident.lasts_s}")
    if not 1 <= incident.count <= 1000:
        raise ValueError(f"expected count of 1 to 1000, got {incident.count}")
    if incident.fan < 0 or incident.board < 0 or incident.chips < 1:
        raise ValueError("expected fan and board from 0, chips from 1")
    if not 0.1 <= incident.airflow <= 1:
        raise ValueError(f"expected airflow of 0.1 to 1, got {incident.airflow}")
    if incident.factor is not None and not 0.05 <= incident.factor <= 5:
        raise ValueError(f"expected factor of 0.05 to 5, got {incident.factor}")
