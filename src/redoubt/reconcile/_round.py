"""What rules share within one round of judging, worked out once instead of per machine and rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

import msgspec

from redoubt.model.hardware import Hardware, find_hardware
from redoubt.model.ids import MachineId, PoolId, RackId
from redoubt.model.register import Pool, Rack
from redoubt.model.status import MachineStatus
from redoubt.reconcile._pools import account_of
from redoubt.reconcile.outage import Group, find_outages, group_machines
from redoubt.reconcile.views import MachineView, SiteView


class SiteRound:
    """One round at a site: the moment, the view, and indexes over it, made on first use."""

    def __init__(self, view: SiteView, now: datetime) -> None:
        self.view = view
        self.now = now

    @cached_property
    def by_id(self) -> Mapping[MachineId, MachineView]:
        return {machine.machine: machine for machine in self.view.machines}

    @cached_property
    def pools(self) -> Mapping[PoolId, Pool]:
        register = self.view.register
        return {} if register is None else {pool.id: pool for pool in register.pools}

    @cached_property
    def accounts(self) -> frozenset[str]:
        """Every account that some machine of the site may work for."""
        return frozenset(account_of(pool.account) for pool in self.pools.values())

    @cached_property
    def racks(self) -> Mapping[RackId, Rack]:
        register = self.view.register
        return {} if register is None else {rack.id: rack for rack in register.racks}

    @cached_property
    def hashboard_owners(self) -> Mapping[str, MachineId]:
        """Which machine the register places each hashboard in."""
        register = self.view.register
        machines = () if register is None else register.machines
        return {serial: machine.id for machine in machines for serial in machine.hashboard_serials}

    @cached_property
    def shared_identifiers(self) -> Mapping[str, tuple[MachineId, ...]]:
        """Identifiers that more than one machine shows now, with those machines."""
        shown: dict[str, tuple[MachineId, ...]] = {}
        for machine in self.view.machines:
            if machine.status is not None and not machine.misses:
                for identifier in machine.identity.identifiers():
                    shown[identifier] = (*shown.get(identifier, ()), machine.machine)
        return {key: machines for key, machines in shown.items() if len(machines) > 1}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Racks, address blocks and the site, with who of them is silent."""
        return group_machines(self.view)

    @cached_property
    def outages(self) -> tuple[Group, ...]:
        """The groups that fell silent together."""
        return find_outages(self.groups)

    @cached_property
    def in_outage(self) -> frozenset[MachineId]:
        return frozenset(machine for group in self.outages for machine in group.silent)


class CenterRound(msgspec.Struct, frozen=True):
    """One round at the center."""

    now: datetime


def hardware_of(status: MachineStatus) -> Hardware | None:
    """Return what the tables say of a machine's model."""
    return find_hardware(status.make, status.model, status.hashrate_nominal_hs)
