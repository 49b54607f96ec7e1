"""The last full status of every machine, so that a restarted center knows the fleet at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from redoubt.edge.batches import MachineDetail, decode_details, encode_details, keep_replies
from redoubt.edge.records.engine import Scoped, reading, scoped, transaction
from redoubt.edge.records.tables import machine_details, machines
from redoubt.model.errors import RemoteProtocolError, ServiceError
from redoubt.model.ids import MachineId, OrganisationId, SiteId

MAX_STRANGERS_PER_SITE = 10_000
"""Of how many machines outside the register details stay: an agent keeps fewer at a time."""


class Details:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def upsert(
        self, organisation: OrganisationId, site: SiteId, details: Sequence[MachineDetail]
    ) -> None:
        """Keep the newest of each machine; an older one that comes late changes nothing.

        Of machines outside the register those that are silent longest go, beyond the bound.
        """
        if not details:
            return
        newest: dict[MachineId, MachineDetail] = {}
        for detail in sorted(details, key=lambda detail: detail.status.at):
            before = newest.get(detail.machine, detail)
            newest[detail.machine] = keep_replies(detail, before)
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            statement = scope.select(
                machine_details, machine_details.c.machine, machine_details.c.at
            )
            statement = statement.where(machine_details.c.site == site)
            known = {row.machine: row.at for row in connection.execute(statement)}
            fresh = [detail for key, detail in newest.items() if key not in known]
            if fresh:
                connection.execute(
                    scope.insert(machine_details), [_row(site, detail) for detail in fresh]
                )
            for key, detail in newest.items():
                if key in known and detail.status.at > known[key]:
                    _replace(connection, scope, site, detail)
            if fresh:
                _forget_strangers(connection, scope, site)

    def get(
        self, organisation: OrganisationId, site: SiteId, machine: MachineId
    ) -> MachineDetail | None:
        statement = scoped(organisation).select(machine_details, machine_details.c.detail)
        statement = statement.where(
            machine_details.c.site == site, machine_details.c.machine == machine
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _unpack(row.detail)

    def load(self, organisation: OrganisationId) -> Iterator[tuple[SiteId, MachineDetail]]:
        """Yield every machine's detail with its site."""
        statement = scoped(organisation).select(
            machine_details, machine_details.c.site, machine_details.c.detail
        )
        with reading(self._engine) as connection:
            for row in connection.execute(statement):
                yield SiteId(row.site), _unpack(row.detail)


def _row(site: SiteId, detail: MachineDetail) -> dict[str, object]:
    return {
        "site": site,
        "machine": detail.machine,
        "at": detail.status.at,
        "detail": encode_details([detail]),
    }


def _replace(connection: sa.Connection, scope: Scoped, site: SiteId, detail: MachineDetail) -> None:
    """Put a newer detail in the place of a machine's last one, whose replies may still stand."""
    here = (machine_details.c.site == site, machine_details.c.machine == detail.machine)
    if not detail.replies:
        statement = scope.select(machine_details, machine_details.c.detail).where(*here)
        detail = keep_replies(detail, _unpack(connection.execute(statement).scalar_one()))
    changed = scope.update(machine_details, at=detail.status.at, detail=encode_details([detail]))
    connection.execute(changed.where(*here))


def _forget_strangers(connection: sa.Connection, scope: Scoped, site: SiteId) -> None:
    registered = scope.select(machines, machines.c.id).where(machines.c.site == site)
    surplus = (
        scope.select(machine_details, machine_details.c.machine)
        .where(machine_details.c.site == site, machine_details.c.machine.not_in(registered))
        .order_by(machine_details.c.at.desc(), machine_details.c.machine)
        .offset(MAX_STRANGERS_PER_SITE)
    )
    statement = scope.delete(machine_details).where(
        machine_details.c.site == site, machine_details.c.machine.in_(surplus)
    )
    connection.execute(statement)


def _unpack(packed: bytes) -> MachineDetail:
    try:
        (detail,) = decode_details(packed)
    except (RemoteProtocolError, ValueError) as exc:
        raise ServiceError(f"a machine's detail in the records cannot be read: {exc}") from exc
    return detail
