"""What the site remembers of its machines between polls, and the view that rules get of it.

`learn` folds one reading in; `view` is what the rules judge. `snapshot` holds what must outlive a
restart: who was where, since when, and what changed. Readings themselves are not kept: after a
restart nothing is judged until it was read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from redoubt.model.identity import Identity, identity_of, parse_serial, registered_identity
from redoubt.model.ids import MachineId, SiteId
from redoubt.model.register import Machine, RegisterSlice
from redoubt.model.status import MachineState, MachineStatus
from redoubt.reconcile.views import AgentView, Change, MachineView, SiteView

MAX_STRANGERS = 4096
"""How many machines outside the register are kept: one can make up a new identity per poll."""
FORGET_STRANGER_AFTER = timedelta(days=7)
FORGET_REPLACED_AFTER = timedelta(hours=1)
"""When a machine outside the register is forgotten at whose address another one answers."""


_NOTHING = Identity()


class MachineMemory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one machine over a restart; see `MachineView` for the fields."""

    machine: MachineId
    address: str = ""
    identity: Identity = Identity()
    first_seen_at: datetime | None = None
    last_answered_at: datetime | None = None
    moved: Change | None = None
    altered: Change | None = None
    replaced: Change | None = None
    factory_password: bool | None = None


class MemoryState(msgspec.Struct, frozen=True):
    """All machines' memories, sorted by id; travels as JSON or MessagePack."""

    machines: tuple[MachineMemory, ...] = ()


class _Entry:
    """One machine while the agent runs: what is kept, and what only the present knows."""

    __slots__ = ("kept", "misses", "status")

    def __init__(self, kept: MachineMemory) -> None:
        self.kept = kept
        self.status: MachineStatus | None = None
        self.misses = 0


class SiteMemory:
    """All machines that the site's agent knows of, by id. One owner; not for threads."""

    def __init__(self, state: MemoryState = MemoryState()) -> None:  # noqa: B008 (it is frozen)
        self._entries = {kept.machine: _Entry(kept) for kept in state.machines}
        self._at_address: dict[str, MachineId] = {}
        self._register: RegisterSlice | None = None
        self._expected: dict[MachineId, Identity] = {}
        answered = (kept for kept in state.machines if kept.last_answered_at is not None)
        for kept in sorted(answered, key=lambda kept: str(kept.last_answered_at)):
            self._at_address[kept.address] = kept.machine

    def snapshot(self) -> MemoryState:
        """Return what must outlive a restart."""
        return MemoryState(tuple(self._entries[key].kept for key in sorted(self._entries)))

    def learn(
        self,
        machine: MachineId,
        status: MachineStatus,
        *,
        factory_password: bool | None = None,
    ) -> None:
        """Fold in one reading of `machine`; state `offline` means that it did not answer.

        `factory_password` says whether this reading used factory credentials with success; None
        keeps what was known.
        """
        entry = self._entries.get(machine)
        if entry is None:
            entry = self._entries[machine] = _Entry(
                MachineMemory(machine=machine, address=status.address)
            )
        entry.status = status
        if status.state is MachineState.OFFLINE:
            entry.misses += 1
            return
        entry.misses = 0
        entry.kept = self._answered(entry.kept, status, factory_password)
        self._at_address[status.address] = machine

    def forget(self, machine: MachineId) -> None:
        """Drop a machine that is to be known no longer; unknown ids are ignored."""
        entry = self._entries.pop(machine, None)
        if entry is not None and self._at_address.get(entry.kept.address) == machine:
            del self._at_address[entry.kept.address]

    def machine(self, machine: MachineId) -> MachineMemory | None:
        entry = self._entries.get(machine)
        return None if entry is None else entry.kept

    def last_status(self, machine: MachineId) -> MachineStatus | None:
        """Return the last reading since the agent started, None where there is none."""
        entry = self._entries.get(machine)
        return None if entry is None else entry.status

    def view(
        self,
        site: SiteId,
        register: RegisterSlice | None,
        agent: AgentView,
        *,
        cadence_s: float = 15.0,
    ) -> SiteView:
        """Return what the rules judge: every registered machine, every stranger that answered."""
        self._work_by(register)
        registered = () if register is None else register.machines
        views = [self._view_registered(machine) for machine in registered]
        views.extend(
            _view(entry, None, _NOTHING)
            for key, entry in self._entries.items()
            if key not in self._expected and entry.kept.last_answered_at is not None
        )
        return SiteView(
            site=site,
            agent=agent,
            machines=tuple(views),
            register=register,
            cadence_s=cadence_s,
        )

    def forget_strangers(
        self, registered: Iterable[Machine], placed: Collection[MachineId], now: datetime
    ) -> list[MachineId]:
        """Drop machines outside the register that are long silent, and the oldest beyond the bound.

        `placed` are those that stand at some address. Return who is dropped.
        Before the first register snapshot everything is a stranger; call it once one is there.
        """
        known = {machine.id for machine in registered}
        strangers = [entry.kept for key, entry in self._entries.items() if key not in known]
        strangers.sort(key=lambda kept: _age_s(kept, now))
        gone = [
            kept.machine
            for place, kept in enumerate(strangers)
            if place >= MAX_STRANGERS
            or _age_s(kept, now) > _stranger_stays(kept.machine in placed).total_seconds()
        ]
        for machine in gone:
            self.forget(machine)
        return gone

    def _view_registered(self, machine: Machine) -> MachineView:
        entry, expected = self._entries.get(machine.id), self._expected[machine.id]
        if entry is not None:
            return _view(entry, machine, expected)
        return MachineView(
            machine=machine.id,
            address=machine.address or "",
            registered=machine,
            identity=expected,
            expected=expected,
        )

    def _work_by(self, register: RegisterSlice | None) -> None:
        """Work out the register's identifiers once per snapshot: it changes seldom, views often."""
        if register is not self._register:
            machines = () if register is None else register.machines
            self._expected = {machine.id: expected_identity(machine) for machine in machines}
            self._register = register

    def _answered(
        self, kept: MachineMemory, status: MachineStatus, factory_password: bool | None
    ) -> MachineMemory:
        """Return the memory after an answer, with the changes that it shows."""
        at = status.at
        shown = identity_of(status)
        moved, altered, replaced = kept.moved, kept.altered, kept.replaced
        if kept.last_answered_at is not None:
            if kept.address != status.address:
                moved = Change(at=at, address=kept.address)
            if is_other(kept.identity, shown):
                altered = Change(at=at, identity=kept.identity)
        before = self._at_address.get(status.address, kept.machine)
        if before != kept.machine:
            replaced = Change(at=at, machine=before)
        return MachineMemory(
            machine=kept.machine,
            address=status.address,
            identity=merge_identity(kept.identity, shown),
            first_seen_at=kept.first_seen_at or at,
            last_answered_at=at,
            moved=moved,
            altered=altered,
            replaced=replaced,
            factory_password=kept.factory_password
            if factory_password is None
            else factory_password,
        )


def expected_identity(machine: Machine) -> Identity:
    """Return the identifiers that the register holds, spelled as those that machines show."""
    held = registered_identity(machine)
    serials = tuple(parse_serial(serial) for serial in held.hashboard_serials)
    return msgspec.structs.replace(
        held, hashboard_serials=tuple(serial for serial in serials if serial is not None)
    )


def is_other(before: Identity, shown: Identity) -> bool:
    """Whether `shown` contradicts `before`; what one of them doesn't say contradicts nothing."""
    if before == shown:
        return False
    return (
        _differ(before.serial, shown.serial)
        or _differ(before.mac, shown.mac)
        or _differ(before.control_board_serial, shown.control_board_serial)
        or bool(
            set(shown.hashboard_serials) - set(before.hashboard_serials or shown.hashboard_serials)
        )
    )


def merge_identity(before: Identity, shown: Identity) -> Identity:
    """Return `shown`, with what it doesn't say taken from `before`."""
    if before == shown:
        return before
    return Identity(
        serial=shown.serial or before.serial,
        mac=shown.mac or before.mac,
        control_board_serial=shown.control_board_serial or before.control_board_serial,
        hashboard_serials=shown.hashboard_serials or before.hashboard_serials,
    )


def _stranger_stays(is_placed: bool) -> timedelta:
    return FORGET_STRANGER_AFTER if is_placed else FORGET_REPLACED_AFTER


def _differ(before: str | None, shown: str | None) -> bool:
    return before is not None and shown is not None and before != shown


def _age_s(kept: MachineMemory, now: datetime) -> float:
    if kept.last_answered_at is None:
        return float("inf")
    return (now - kept.last_answered_at).total_seconds()


def _view(entry: _Entry, registered: Machine | None, expected: Identity) -> MachineView:
    kept, status = entry.kept, entry.status
    return MachineView(
        machine=kept.machine,
        address=kept.address if status is None else status.address,
        registered=registered,
        status=status,
        misses=entry.misses,
        first_seen_at=kept.first_seen_at,
        last_answered_at=kept.last_answered_at,
        identity=kept.identity,
        expected=expected,
        moved=kept.moved,
        altered=kept.altered,
        replaced=kept.replaced,
        factory_password=kept.factory_password,
    )
