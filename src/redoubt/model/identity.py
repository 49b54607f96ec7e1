"""Who a machine is, whatever its address: serial, MAC, control board, hashboards.

`IdentityBook` is a value that maps every identifier seen to one machine id. A machine that shows no
identifier at all gets a stable synthetic id from its address, and rules make a finding of that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

import msgspec

from redoubt.model.ids import MachineId
from redoubt.model.register import Machine
from redoubt.model.status import MachineStatus

_MAC_DIGITS = re.compile(r"[0-9a-f]{12}")
MAX_IDENTIFIERS = 16
"""How many identifiers a book keeps of one machine: one can show another MAC at each reading."""
_EMPTY_WORDS = frozenset({"", "0", "null", "none", "unknown", "n/a", "na", "default"})


class Identity(msgspec.Struct, frozen=True):
    """The identifiers that a machine shows, normalised; None or empty where it shows none."""

    serial: str | None = None
    mac: str | None = None
    control_board_serial: str | None = None
    hashboard_serials: tuple[str, ...] = ()

    def identifiers(self) -> Iterator[str]:
        """Yield "kind:value" from the strongest identifier to the weakest.

        Hashboards are left out: they move between machines, so they are evidence of a swap and
        never say which machine this is.
        """
        if self.serial:
            yield f"serial:{self.serial}"
        if self.mac:
            yield f"mac:{self.mac}"
        if self.control_board_serial:
            yield f"control_board:{self.control_board_serial}"


def identity_of(status: MachineStatus) -> Identity:
    """Return the identifiers in a status, without those that cannot be real."""
    return Identity(
        serial=parse_serial(status.serial),
        mac=parse_mac(status.mac),
        control_board_serial=parse_serial(status.control_board_serial),
        hashboard_serials=tuple(
            serial
            for serial in (parse_serial(board.serial) for board in status.boards)
            if serial is not None
        ),
    )


def registered_identity(machine: Machine) -> Identity:
    """Return the identifiers that the register holds of a machine."""
    return Identity(
        serial=parse_serial(machine.serial),
        mac=parse_mac(machine.mac),
        control_board_serial=parse_serial(machine.control_board_serial),
        hashboard_serials=machine.hashboard_serials,
    )


def parse_mac(text: str | None) -> str | None:
    """Return a MAC as "aa:bb:cc:dd:ee:ff", or None where `text` is none, all zeros or all ones."""
    if text is None:
        return None
    digits = re.sub(r"[^0-9a-z]", "", text.strip().lower())
    if not _MAC_DIGITS.fullmatch(digits) or digits in ("0" * 12, "f" * 12):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def parse_serial(text: str | None) -> str | None:
    """Return a serial in upper case, or None where it is one of the words that stand for none."""
    if text is None:
        return None
    serial = text.strip().upper()
    if serial.lower() in _EMPTY_WORDS or not serial.strip("0X-: "):
        return None
    return serial[:128]


def new_machine_id(identity: Identity, address: str) -> MachineId:
    """Return a stable id for a machine that nobody registered.

    It comes from the strongest identifier; ids from an address alone begin with "synthetic-".
    """
    strongest = next(identity.identifiers(), None)
    if strongest is None:
        return MachineId(f"synthetic-{_short_hash('address:' + address)}")
    return MachineId(f"m-{_short_hash(strongest)}")


def is_synthetic(machine: MachineId) -> bool:
    """Whether the id stands for an address rather than for a machine."""
    return machine.startswith("synthetic-")


class IdentityBook:
    """Which machine id each identifier belongs to: the register's first, then what was seen.

    A machine whose MAC was known before its serial keeps its id when the serial becomes known.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self._ids: dict[str, MachineId] = {}
        self._held: dict[MachineId, list[str]] = {}
        for machine in machines:
            self.learn(registered_identity(machine), machine.id)

    def __len__(self) -> int:
        """Return how many identifiers are known."""
        return len(self._ids)

    def resolve(self, identity: Identity, address: str) -> MachineId:
        """Return the id of the machine that shows `identity` at `address`, and remember it."""
        machine = self.find(identity) or new_machine_id(identity, address)
        self.learn(identity, machine)
        return machine

    def find(self, identity: Identity) -> MachineId | None:
        """Return whose the strongest identifier known here is, None where none is known."""
        known = (self._ids.get(key) for key in identity.identifiers())
        return next((machine for machine in known if machine is not None), None)

    def learn(self, identity: Identity, machine: MachineId) -> None:
        """Remember whose identifiers these are; what is known already stays as it is."""
        held = self._held.setdefault(machine, [])
        for key in identity.identifiers():
            if key not in self._ids and len(held) < MAX_IDENTIFIERS:
                self._ids[key] = machine
                held.append(key)

    def forget(self, machine: MachineId) -> None:
        """Drop all identifiers of a machine; an unknown one is ignored."""
        for key in self._held.pop(machine, ()):
            del self._ids[key]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
