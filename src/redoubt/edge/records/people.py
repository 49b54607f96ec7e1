"""Organisations, the people in them, and what each person may do there."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from redoubt.edge.records.engine import across_organisations, reading, scoped, transaction
from redoubt.edge.records.tables import grants, organisations, sessions, users
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Organisation, OrganisationKind, Role


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the records hold them, with their role in their organisation.

    `has_password` is False until the user has set one through a link.
    """

    id: UserId
    organisation: OrganisationId
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    has_password: bool = False


_PERSON = (*(column for column in users.c if column.name != "organisation"), grants.c.role)


class People:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add_organisation(self, organisation: Organisation, now: datetime) -> None:
        """Raises InputError where the id is taken."""
        scope = scoped(organisation.id)
        with transaction(self._engine) as connection:
            if connection.execute(scope.select(organisations)).first():
                raise InputError(f"organisation {organisation.id!r} exists already")
            connection.execute(
                scope.insert(
                    organisations, name=organisation.name, kind=organisation.kind, created_at=now
                )
            )

    def organisations(self) -> tuple[Organisation, ...]:
        """Every organisation, oldest first: the first one is who runs the center.

        For the center's own jobs and command line.
        """
        oldest = (organisations.c.created_at, organisations.c.organisation)
        statement = across_organisations(
            sa.select(organisations).order_by(*oldest), "all of a center"
        )
        with reading(self._engine) as connection:
            return tuple(_organisation(row) for row in connection.execute(statement))

    def organisation(self, organisation: OrganisationId) -> Organisation | None:
        with reading(self._engine) as connection:
            row = connection.execute(scoped(organisation).select(organisations)).first()
            return None if row is None else _organisation(row)

    def add(self, person: Person, password_hash: str | None = None) -> None:
        """Raises InputError where the e-mail address is taken."""
        scope = scoped(person.organisation)
        taken = across_organisations(
            sa.select(users.c.id).where(users.c.email == person.email), "sign-in names are unique"
        )
        with transaction(self._engine) as connection:
            if connection.execute(taken).first():
                raise InputError(f"the e-mail address {person.email!r} cannot be used here")
            connection.execute(
                scope.insert(
                    users,
                    id=person.id,
                    email=person.email,
                    name=person.name,
                    password_hash=password_hash,
                    created_at=person.created_at,
                )
            )
            connection.execute(scope.insert(grants, user=person.id, role=person.role))

    def list(self, organisation: OrganisationId) -> tuple[Person, ...]:
        """Everybody in an organisation, by e-mail address."""
        statement = _people(organisation).order_by(users.c.email)
        with reading(self._engine) as connection:
            return tuple(_person(organisation, row) for row in connection.execute(statement))

    def get(self, organisation: OrganisationId, user: UserId) -> Person | None:
        statement = _people(organisation).where(users.c.id == user)
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _person(organisation, row)

    def credentials(self, email: str) -> tuple[OrganisationId, UserId, str] | None:
        """Return where and by which password hash an e-mail address signs in; None where nobody
        can. Disabled users and those without a password are nobody.
        """
        statement = across_organisations(
            sa.select(users.c.organisation, users.c.id, users.c.password_hash).where(
                users.c.email == email,
                users.c.disabled_at.is_(None),
                users.c.password_hash.is_not(None),
            ),
            "sign-in: the organisation is not known yet",
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            if row is None:
                return None
            return OrganisationId(row.organisation), UserId(row.id), row.password_hash

    def set_password(
        self, organisation: OrganisationId, user: UserId, password_hash: str, *, end_sessions: bool
    ) -> None:
        """Store a new hash; `end_sessions` where the password itself changed, not just the hash."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            connection.execute(
                scope.update(users, password_hash=password_hash).where(users.c.id == user)
            )
            if end_sessions:
                connection.execute(scope.delete(sessions).where(sessions.c.user == user))

    def set_role(self, organisation: OrganisationId, user: UserId, role: Role) -> None:
        """Raises InputError where the user is unknown, or the last admin would be none."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            known = connection.execute(
                scope.update(grants, role=role).where(grants.c.user == user)
            ).rowcount
            _check_change(connection, organisation, user, known)

    def disable(self, organisation: OrganisationId, user: UserId, now: datetime) -> None:
        """End a user's access at once. Raises InputError as `set_role` does."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            known = connection.execute(
                scope.update(users, disabled_at=now).where(users.c.id == user)
            ).rowcount
            connection.execute(scope.delete(sessions).where(sessions.c.user == user))
            _check_change(connection, organisation, user, known)


def _people(organisation: OrganisationId) -> sa.Select[tuple[object, ...]]:
    both = (grants.c.organisation == users.c.organisation) & (grants.c.user == users.c.id)
    return scoped(organisation).select(users, *_PERSON).join(grants, both)


def _check_change(
    connection: sa.Connection, organisation: OrganisationId, user: UserId, known: int
) -> None:
    if not known:
        raise InputError(f"no user {user!r} here")
    admins = _people(organisation).where(grants.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
    if connection.execute(admins).first() is None:
        raise InputError("the last admin cannot be taken away: make another one first")


def _organisation(row: sa.Row[tuple[object, ...]]) -> Organisation:
    return Organisation(OrganisationId(row.organisation), row.name, OrganisationKind(row.kind))


def _person(organisation: OrganisationId, row: sa.Row[tuple[object, ...]]) -> Person:
    return Person(
        id=UserId(row.id),
        organisation=organisation,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        has_password=row.password_hash is not None,
    )
