"""Sessions of people who signed in, and one-time links that sign somebody in for the first time.

Both are looked up by hash before the organisation is known: it is what the row answers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from redoubt.edge.records.engine import across_organisations, reading, scoped, transaction
from redoubt.edge.records.tables import grants, links, sessions, users
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Role


class LinkPurpose(StrEnum):
    """`setup`: make an admin, or set a new password; `sign_in`: straight in (the demo).

    A followed `setup` link leaves a `setup_form` behind, whose secret is a cookie: the link itself
    is used up, however often the form is sent.
    """

    SETUP = "setup"
    SETUP_FORM = "setup_form"
    SIGN_IN = "sign_in"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`user` is None where the link makes a new admin."""

    organisation: OrganisationId
    purpose: LinkPurpose
    user: UserId | None
    created_at: datetime
    expires_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person with what they may do now: the role is read with every request."""

    organisation: OrganisationId
    user: UserId
    name: str
    email: str
    role: Role
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Sessions:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(
        self,
        organisation: OrganisationId,
        user: UserId,
        session_hash: str,
        now: datetime,
        expires_at: datetime,
    ) -> None:
        """Store a new session, and forget those that are over."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            connection.execute(scope.delete(sessions).where(sessions.c.expires_at <= now))
            connection.execute(
                scope.insert(
                    sessions,
                    session_hash=session_hash,
                    user=user,
                    created_at=now,
                    seen_at=now,
                    expires_at=expires_at,
                )
            )

    def find(self, session_hash: str, now: datetime, idle: timedelta) -> Session | None:
        """Return a session that is not over, not idle for longer than `idle`, of a user who may
        still come in."""
        of_user = (users.c.organisation == sessions.c.organisation) & (
            users.c.id == sessions.c.user
        )
        granted = (grants.c.organisation == users.c.organisation) & (grants.c.user == users.c.id)
        statement = (
            sa.select(sessions, users.c.name, users.c.email, grants.c.role)
            .join(users, of_user)
            .join(grants, granted)
            .where(
                sessions.c.session_hash == session_hash,
                sessions.c.expires_at > now,
                sessions.c.seen_at > now - idle,
                users.c.disabled_at.is_(None),
            )
        )
        with reading(self._engine) as connection:
            row = connection.execute(
                across_organisations(statement, "a session says the organisation")
            ).first()
            return None if row is None else _session(row)

    def touch(self, organisation: OrganisationId, session_hash: str, now: datetime) -> None:
        """Note that a session is in use."""
        with transaction(self._engine) as connection:
            connection.execute(
                scoped(organisation)
                .update(sessions, seen_at=now)
                .where(sessions.c.session_hash == session_hash)
            )

    def end(self, organisation: OrganisationId, session_hash: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(
                scoped(organisation).delete(sessions).where(sessions.c.session_hash == session_hash)
            )

    def add_link(self, link: Link, link_hash: str) -> None:
        """Store a link; links of the same purpose and user that were not used yet end."""
        scope = scoped(link.organisation)
        with transaction(self._engine) as connection:
            connection.execute(
                scope.delete(links).where(
                    links.c.purpose == link.purpose,
                    links.c.user.is_not_distinct_from(link.user),
                    links.c.used_at.is_(None),
                )
            )
            connection.execute(
                scope.insert(
                    links,
                    link_hash=link_hash,
                    purpose=link.purpose,
                    user=link.user,
                    created_at=link.created_at,
                    expires_at=link.expires_at,
                )
            )

    def find_link(self, link_hash: str, now: datetime) -> Link | None:
        """Return a link that is neither used nor expired."""
        with reading(self._engine) as connection:
            return _find_link(connection, link_hash, now)

    def use_link(self, link_hash: str, now: datetime) -> Link | None:
        """Return a link that was good until this call, which uses it up; None where it is not."""
        with transaction(self._engine) as connection:
            link = _find_link(connection, link_hash, now)
            if link is not None:
                connection.execute(
                    scoped(link.organisation)
                    .update(links, used_at=now)
                    .where(links.c.link_hash == link_hash)
                )
            return link


def _find_link(connection: sa.Connection, link_hash: str, now: datetime) -> Link | None:
    statement = sa.select(links).where(
        links.c.link_hash == link_hash, links.c.used_at.is_(None), links.c.expires_at > now
    )
    row = connection.execute(
        across_organisations(statement, "a link says the organisation")
    ).first()
    if row is None:
        return None
    return Link(
        organisation=OrganisationId(row.organisation),
        purpose=LinkPurpose(row.purpose),
        user=None if row.user is None else UserId(row.user),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _session(row: sa.Row[tuple[object, ...]]) -> Session:
    return Session(
        organisation=OrganisationId(row.organisation),
        user=UserId(row.user),
        name=row.name,
        email=row.email,
        role=Role(row.role),
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
    )
