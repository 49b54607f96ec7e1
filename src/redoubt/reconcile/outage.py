"""Machines that fell silent together: one cause in the wall or the network, not many in machines.

A tripped breaker takes a rack, a dead switch takes an address block, and a site of which nobody
answers says more about the agent's own network. Only the widest group is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_network

import msgspec

from redoubt.model.finding import Subject, SubjectKind
from redoubt.model.ids import MachineId, SiteId
from redoubt.reconcile.views import MachineView, SiteView

SILENT_AFTER_MISSES = 2
"""One less than for a single machine, so that the group is known before its machines are told."""
MIN_GROUP = 4
"""Fewer machines than this can fail together by chance."""
MIN_SHARE = 0.6
"""The part of a group that must be silent; some of a rack may hang on another feed, and machines
that come back after a power cut do so one by one."""
MAX_SPREAD = timedelta(seconds=120)
"""How far apart the last answers of machines that fell together may lie; 4 cadences if longer."""


class Group(msgspec.Struct, frozen=True):
    """Machines that share a feed or a network, without those that were silent long before.

    silent: those that fell together. unread: those of which it can't be told yet. total: all,
    answering ones too. since: the last moment at which one of the silent ones answered.
    """

    subject: Subject
    silent: tuple[MachineId, ...]
    unread: int
    total: int
    since: datetime | None

    @property
    def is_dark(self) -> bool:
        """Whether enough of the group is silent to be one cause."""
        return len(self.silent) >= max(MIN_GROUP, MIN_SHARE * self.total)

    @property
    def is_unclear(self) -> bool:
        """Whether it would be dark if those that are not read yet were silent too."""
        return len(self.silent) + self.unread >= max(MIN_GROUP, MIN_SHARE * self.total)


def group_machines(view: SiteView) -> tuple[Group, ...]:
    """Return every rack, every address block of unplaced machines, and the site, in this order.

    Machines that never answered are in no group: they are missing, not dark.
    """
    members: defaultdict[Subject, list[MachineView]] = defaultdict(list)
    everyone: list[MachineView] = []
    for machine in view.machines:
        if machine.last_answered_at is not None:
            members[_place(machine)].append(machine)
            everyone.append(machine)
    spread = max(MAX_SPREAD, timedelta(seconds=4 * view.cadence_s))
    groups = [_group(subject, members[subject], spread) for subject in sorted(members)]
    groups.append(_group(site_subject(view.site), everyone, spread))
    return tuple(groups)


def find_outages(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Return the dark groups, and only the site where the site itself is dark."""
    dark = [group for group in groups if group.is_dark]
    whole = [group for group in dark if group.subject.kind is SubjectKind.SITE]
    return tuple(whole or dark)


def site_subject(site: SiteId) -> Subject:
    return Subject(SubjectKind.SITE, site)


def _group(subject: Subject, machines: list[MachineView], spread: timedelta) -> Group:
    silent = [machine for machine in machines if machine.misses >= SILENT_AFTER_MISSES]
    if not silent:
        unread = sum(machine.status is None or machine.misses > 0 for machine in machines)
        return Group(subject, (), unread, len(machines), None)
    last = max(machine.last_answered_at for machine in silent if machine.last_answered_at)
    fell = [
        machine
        for machine in silent
        if machine.last_answered_at and last - machine.last_answered_at <= spread
    ]
    unread = sum(
        machine.status is None or 0 < machine.misses < SILENT_AFTER_MISSES for machine in machines
    )
    return Group(
        subject=subject,
        silent=tuple(machine.machine for machine in fell),
        unread=unread,
        total=len(machines) - len(silent) + len(fell),
        since=last,
    )


def _place(machine: MachineView) -> Subject:
    if machine.registered is not None and machine.registered.rack is not None:
        return Subject(SubjectKind.RACK, machine.registered.rack)
    return Subject(SubjectKind.ADDRESS, _block(machine.address))


@lru_cache(maxsize=8192)
def _block(address: str) -> str:
    """Return the /24 (IPv4) or /64 (IPv6) that an address lies in; a name is its own block."""
    try:
        return str(ip_network(f"{address}/{64 if ':' in address else 24}", strict=False))
    except ValueError:
        return address
