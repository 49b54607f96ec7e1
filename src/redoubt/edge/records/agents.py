"""Site agents that enrolled: which key, which certificate, until when, and whether revoked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from redoubt.edge.records.engine import reading, scoped, transaction
from redoubt.edge.records.tables import agents
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. `expires_at` is the end of its newest certificate, `certificate_serial` in hex."""

    organisation: OrganisationId
    site: SiteId
    agent: str
    key_fingerprint: str
    certificate_serial: str
    enrolled_at: datetime
    renewed_at: datetime
    expires_at: datetime
    last_contact_at: datetime | None = None
    revoked_at: datetime | None = None


class Agents:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, agent: Agent) -> None:
        columns = msgspec.structs.asdict(agent)
        del columns["organisation"]
        with transaction(self._engine) as connection:
            connection.execute(scoped(agent.organisation).insert(agents, **columns))

    def list(self, organisation: OrganisationId) -> tuple[Agent, ...]:
        statement = scoped(organisation).select(agents).order_by(agents.c.site, agents.c.agent)
        with reading(self._engine) as connection:
            return tuple(_agent(row) for row in connection.execute(statement))

    def get(self, organisation: OrganisationId, site: SiteId, agent: str) -> Agent | None:
        statement = scoped(organisation).select(agents).where(_is(site, agent))
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _agent(row)

    def is_revoked(self, organisation: OrganisationId, site: SiteId, agent: str) -> bool:
        """Whether an agent may no longer come in; one that is not known may not either."""
        known = self.get(organisation, site, agent)
        return known is None or known.revoked_at is not None

    def renew(
        self,
        organisation: OrganisationId,
        site: SiteId,
        agent: str,
        *,
        key_fingerprint: str,
        certificate_serial: str,
        now: datetime,
        expires_at: datetime,
    ) -> bool:
        """Note a new certificate; False, and nothing noted, where the agent may not come in."""
        statement = (
            scoped(organisation)
            .update(
                agents,
                key_fingerprint=key_fingerprint,
                certificate_serial=certificate_serial,
                renewed_at=now,
                expires_at=expires_at,
            )
            .where(_is(site, agent), agents.c.revoked_at.is_(None))
        )
        with transaction(self._engine) as connection:
            return connection.execute(statement).rowcount == 1

    def note_contacts(
        self, organisation: OrganisationId, contacts: Mapping[tuple[SiteId, str], datetime]
    ) -> None:
        """Note when agents were last let in, by (site, agent)."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            for (site, agent), at in contacts.items():
                connection.execute(scope.update(agents, last_contact_at=at).where(_is(site, agent)))

    def revoke(self, organisation: OrganisationId, site: SiteId, agent: str, now: datetime) -> None:
        """Shut an agent out for good. Raises InputError where there is none."""
        statement = scoped(organisation).update(
            agents,
            revoked_at=sa.func.coalesce(
                agents.c.revoked_at, sa.literal(now, agents.c.revoked_at.type)
            ),
        )
        with transaction(self._engine) as connection:
            if not connection.execute(statement.where(_is(site, agent))).rowcount:
                raise InputError(f"no agent {agent[:80]!r} at site {site[:80]!r}")


def _is(site: SiteId, agent: str) -> sa.ColumnElement[bool]:
    return (agents.c.site == site) & (agents.c.agent == agent)


def _agent(row: sa.Row[tuple[object, ...]]) -> Agent:
    return Agent(**row._mapping)
