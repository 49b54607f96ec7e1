"""API tokens and enrolment tokens: their hashes, their scopes, their ends."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from redoubt.access.principal import Scope
from redoubt.edge.records.engine import across_organisations, reading, scoped, transaction
from redoubt.edge.records.tables import api_tokens, enrolment_tokens
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token without its secret, which nobody has but its holder."""

    id: str
    organisation: OrganisationId
    name: str
    scopes: tuple[Scope, ...]
    made_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What a one-time enrolment token allows: one agent at one site."""

    organisation: OrganisationId
    site: SiteId
    made_by: str
    created_at: datetime
    expires_at: datetime


class Tokens:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, token: ApiToken, token_hash: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(
                scoped(token.organisation).insert(
                    api_tokens,
                    id=token.id,
                    token_hash=token_hash,
                    name=token.name,
                    scopes=" ".join(token.scopes),
                    made_by=token.made_by,
                    created_at=token.created_at,
                    expires_at=token.expires_at,
                )
            )

    def list(self, organisation: OrganisationId) -> tuple[ApiToken, ...]:
        """Every token, newest first; those that ended too, because they may be asked about."""
        statement = scoped(organisation).select(api_tokens)
        with reading(self._engine) as connection:
            rows = connection.execute(statement.order_by(api_tokens.c.created_at.desc()))
            return tuple(_api_token(row) for row in rows)

    def find(self, token_hash: str, now: datetime) -> ApiToken | None:
        """Return the token that is neither expired nor revoked."""
        statement = across_organisations(
            sa.select(api_tokens).where(
                api_tokens.c.token_hash == token_hash,
                api_tokens.c.revoked_at.is_(None),
                api_tokens.c.expires_at > now,
            ),
            "a token says the organisation",
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _api_token(row)

    def touch(self, organisation: OrganisationId, token: str, now: datetime) -> None:
        """Note that a token is in use."""
        with transaction(self._engine) as connection:
            connection.execute(
                scoped(organisation).update(api_tokens, used_at=now).where(api_tokens.c.id == token)
            )

    def revoke(self, organisation: OrganisationId, token: str, now: datetime) -> None:
        """End a token now; the first time counts. Raises InputError where there is none."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            if not connection.execute(scope.select(api_tokens).where(_is(token))).first():
                raise InputError(f"no API token {token[:80]!r} here")
            connection.execute(
                scope.update(api_tokens, revoked_at=now).where(
                    _is(token), api_tokens.c.revoked_at.is_(None)
                )
            )

    def revoke_made_by(self, organisation: OrganisationId, who: str, now: datetime) -> None:
        """End every token that somebody made, enrolment tokens too."""
        scope = scoped(organisation)
        with transaction(self._engine) as connection:
            connection.execute(
                scope.update(api_tokens, revoked_at=now).where(
                    api_tokens.c.made_by == who, api_tokens.c.revoked_at.is_(None)
                )
            )
            connection.execute(
                scope.delete(enrolment_tokens).where(
                    enrolment_tokens.c.made_by == who, enrolment_tokens.c.used_at.is_(None)
                )
            )

    def add_enrolment(self, enrolment: Enrolment, token_hash: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(
                scoped(enrolment.organisation).insert(
                    enrolment_tokens, token_hash=token_hash, **_columns(enrolment)
                )
            )

    def find_enrolment(self, token_hash: str, now: datetime) -> Enrolment | None:
        """Return what an enrolment token allows while it is neither used nor expired."""
        with reading(self._engine) as connection:
            return _find_enrolment(connection, token_hash, now)

    def use_enrolment(self, token_hash: str, now: datetime) -> Enrolment | None:
        """As `find_enrolment`, and use the token up."""
        with transaction(self._engine) as connection:
            enrolment = _find_enrolment(connection, token_hash, now)
            if enrolment is not None:
                connection.execute(
                    scoped(enrolment.organisation)
                    .update(enrolment_tokens, used_at=now)
                    .where(enrolment_tokens.c.token_hash == token_hash)
                )
            return enrolment


def _is(token: str) -> sa.ColumnElement[bool]:
    return api_tokens.c.id == token


def _columns(enrolment: Enrolment) -> dict[str, object]:
    columns = msgspec.structs.asdict(enrolment)
    del columns["organisation"]
    return columns


def _find_enrolment(connection: sa.Connection, token_hash: str, now: datetime) -> Enrolment | None:
    statement = across_organisations(
        sa.select(enrolment_tokens).where(
            enrolment_tokens.c.token_hash == token_hash,
            enrolment_tokens.c.used_at.is_(None),
            enrolment_tokens.c.expires_at > now,
        ),
        "an enrolment token says the organisation",
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    return Enrolment(
        organisation=OrganisationId(row.organisation),
        site=SiteId(row.site),
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _api_token(row: sa.Row[tuple[object, ...]]) -> ApiToken:
    return ApiToken(
        id=row.id,
        organisation=OrganisationId(row.organisation),
        name=row.name,
        scopes=tuple(Scope(word) for word in row.scopes.split()),
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
