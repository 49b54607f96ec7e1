"""Which machine stands at which address: what is read, and whose reading it is.

A place is an address with a family. The register, the configuration and discovery add places; who
stands there is told by the identifiers in each answer, the register's machines first. A machine has
one place at a time. Who shows the identifiers of a machine that answers elsewhere at this moment
does not become that machine: it gets an id of its own, so that none can speak for another. Who
shows another identity at each reading goes by the address for an hour after the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta

import msgspec

from redoubt.model.identity import (
    Identity,
    IdentityBook,
    identity_of,
    new_machine_id,
    registered_identity,
)
from redoubt.model.ids import MachineId
from redoubt.model.register import Machine
from redoubt.model.status import MachineState, MachineStatus
from redoubt.site.poller import Target

MAX_PLACES = 65_536
"""As many addresses as the widest range that a scan takes."""
FORGET_AFTER = timedelta(days=7)
"""When a machine outside the register that no longer answers is forgotten."""
NAME_EVERY = timedelta(hours=1)
"""How often an address may bring a machine that nobody knew, with an id of its own."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is read. `machine` is who answered there last, or who should.

    Without a family it is not read until discovery has found one.
    """

    address: str
    machine: MachineId
    family: str | None = None
    ports: dict[str, int] = {}
    answered_at: datetime | None = None


class RosterState(msgspec.Struct, frozen=True):
    """What must outlive a restart."""

    places: tuple[Place, ...] = ()


class Roster:
    """All places by address. One owner; not for threads.

    alive_s: for how long an answer shows that a machine is still where it was.
    """

    def __init__(self, alive_s: float, state: RosterState = RosterState()) -> None:  # noqa: B008
        self._alive = timedelta(seconds=alive_s)
        self._places = {place.address: place for place in state.places}
        self._home: dict[MachineId, str] = {}
        self._named_at: dict[str, datetime] = {}
        for place in sorted(state.places, key=lambda place: str(place.answered_at or "")):
            self._home[place.machine] = place.address
        self._registered: dict[MachineId, Machine] = {}
        self._by_address: dict[str, Machine] = {}
        self._book = IdentityBook()

    def snapshot(self) -> RosterState:
        return RosterState(tuple(self._places[key] for key in sorted(self._places)))

    def targets(self) -> list[Target]:
        """Return what is to be read: each machine once, at its place, in the order of addresses."""
        return [
            Target(
                machine=place.machine,
                address=place.address,
                family=place.family,
                ports=place.ports,
            )
            for place in (self._places[address] for address in sorted(self._places))
            if place.family is not None and self._home.get(place.machine) == place.address
        ]

    def unidentified(self) -> list[str]:
        """Return addresses of places of which no family is known."""
        return [place.address for place in self._places.values() if place.family is None]

    def answering(self, now: datetime) -> set[str]:
        """Return the addresses that answered just now."""
        return {
            place.address
            for place in self._places.values()
            if place.answered_at is not None and now - place.answered_at < self._alive
        }

    def place(self, address: str) -> Place | None:
        return self._places.get(address)

    def placed(self) -> Set[MachineId]:
        """Return the machines that stand at some address."""
        return self._home.keys()

    def registered(self, machine: MachineId) -> Machine | None:
        return self._registered.get(machine)

    # -- what is said of addresses -------------------------------------------------------------

    def use_register(
        self,
        machines: Iterable[Machine],
        identities: Mapping[MachineId, Identity],
        ports: Mapping[str, int],
    ) -> dict[MachineId, MachineId]:
        """Go by another register; return which ids became other ones.

        `identities` are those that machines have shown, by the id they had until now. A machine
        that was found before it was registered takes its registered id.
        """
        machines = tuple(machines)
        self._registered = {machine.id: machine for machine in machines}
        self._by_address = {machine.address: machine for machine in machines if machine.address}
        self._book = IdentityBook(machines)
        renamed: dict[MachineId, MachineId] = {}
        for old, identity in identities.items():
            new = self._book.find(identity) or self._adopted(old) or old
            if new != old and self._has_answered_at_home(new):
                # Both answer, so they are two machines, whatever one of them shows.
                continue
            self._book.learn(identity, new)
            if new != old:
                renamed[old] = new
        for place in list(self._places.values()):
            new = renamed.get(place.machine, place.machine)
            if new != place.machine and self._is_home(place):
                self._settle(msgspec.structs.replace(place, machine=new))
        for machine in machines:
            if machine.address:
                self.add(machine.address, machine.family, ports, machine.id)
        return renamed

    def add(
        self,
        address: str,
        family: str | None,
        ports: Mapping[str, int],
        machine: MachineId | None = None,
    ) -> None:
        """Add a place, or what was not known of one; `machine` is who should stand there."""
        place = self._places.get(address)
        if place is None:
            if len(self._places) >= MAX_PLACES:
                return
            who = machine or self._registered_at(address) or new_machine_id(Identity(), address)
            place = Place(address=address, machine=who, family=family, ports=dict(ports))
        else:
            place = msgspec.structs.replace(
                place, family=place.family or family, ports=dict(ports) or place.ports
            )
            if machine is not None and place.answered_at is None:
                place = msgspec.structs.replace(place, machine=machine)
        if self._has_answered_at_home(place.machine):
            self._places[address] = place
        else:
            self._settle(place)

    def found(self, address: str, family: str, ports: Mapping[str, int]) -> bool:
        """Take what a scan found at an address; return whether it is new there.

        What is new is read from now on, and its first reading tells who it is.
        """
        place = self._places.get(address)
        if place is not None and place.family == family and self._is_home(place):
            return False
        if place is None:
            self.add(address, family, ports)
        elif self._is_home(place):
            self._places[address] = msgspec.structs.replace(place, family=family)
        else:
            stranger = new_machine_id(Identity(), address)
            self._settle(msgspec.structs.replace(place, family=family, machine=stranger))
        return address in self._places

    def resolve(self, status: MachineStatus, now: datetime) -> MachineId | None:
        """Return whose reading this is, and remember where that machine stands.

        None where it is nobody's: the silence of an address at which no machine is expected.
        """
        place = self._places.get(status.address)
        if place is None:
            return None
        if status.state is MachineState.OFFLINE:
            expected = place.answered_at is not None or place.machine in self._registered
            return place.machine if expected and self._is_home(place) else None
        machine = self._who(identity_of(status), place, now)
        self._settle(msgspec.structs.replace(place, machine=machine, answered_at=now))
        return machine

    def prune(self, now: datetime) -> list[MachineId]:
        """Drop places outside the register that are long silent; return who stood there."""
        silent = [
            place
            for place in self._places.values()
            if place.machine not in self._registered
            and place.answered_at is not None
            and now - place.answered_at > FORGET_AFTER
        ]
        for place in silent:
            del self._places[place.address]
            self._named_at.pop(place.address, None)
            if self._is_home(place):
                del self._home[place.machine]
        return [place.machine for place in silent]

    def forget(self, machine: MachineId) -> None:
        """Drop what a machine outside the register has shown of itself; its place stays."""
        if machine not in self._registered:
            self._book.forget(machine)

    # -- helpers -------------------------------------------------------------------------------

    def _who(self, identity: Identity, place: Place, now: datetime) -> MachineId:
        stranger = new_machine_id(Identity(), place.address)
        if next(identity.identifiers(), None) is None:
            return place.machine if self._is_home(place) else stranger
        machine = self._book.find(identity) or self._registered_at(place.address)
        if machine is None:
            machine = new_machine_id(identity, place.address)
            if machine != place.machine and not self._may_name(place.address, now):
                return stranger
        if self._answers_elsewhere(machine, place.address, now):
            return stranger
        self._book.learn(identity, machine)
        return machine

    def _may_name(self, address: str, now: datetime) -> bool:
        """Whether an address may bring a machine that is new here; if so, it has done so now."""
        named_at = self._named_at.get(address)
        if named_at is not None and timedelta(0) <= now - named_at < NAME_EVERY:
            return False
        self._named_at[address] = now
        return True

    def _adopted(self, machine: MachineId) -> MachineId | None:
        address = self._home.get(machine)
        return None if address is None else self._registered_at(address)

    def _registered_at(self, address: str) -> MachineId | None:
        """Return who is registered at an address, if the register knows nothing else of it."""
        machine = self._by_address.get(address)
        if machine is None or next(registered_identity(machine).identifiers(), None) is not None:
            return None
        return machine.id if self._home.get(machine.id, address) == address else None

    def _answers_elsewhere(self, machine: MachineId, address: str, now: datetime) -> bool:
        """Whether that machine answered just now at another address, and is not registered here."""
        registered = self._registered.get(machine)
        if registered is not None and registered.address == address:
            return False
        home = self._places.get(self._home.get(machine, address))
        return (
            home is not None
            and home.address != address
            and home.answered_at is not None
            and now - home.answered_at < self._alive
        )

    def _has_answered_at_home(self, machine: MachineId) -> bool:
        home = self._places.get(self._home.get(machine, ""))
        return home is not None and home.machine == machine and home.answered_at is not None

    def _is_home(self, place: Place) -> bool:
        return self._home.get(place.machine) == place.address

    def _settle(self, place: Place) -> None:
        """Let `place` be where its machine stands, and nobody else's."""
        before = self._places.get(place.address)
        if before is not None and before.machine != place.machine and self._is_home(before):
            del self._home[before.machine]
        self._places[place.address] = place
        self._home[place.machine] = place.address
