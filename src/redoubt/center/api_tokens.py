"""API tokens: what a program shows in place of a person's session."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from redoubt.access.password import check_name
from redoubt.access.principal import Scope
from redoubt.access.secret import Purpose, format_api_token, hash_secret
from redoubt.center.links import new_secret
from redoubt.edge.records import Records
from redoubt.edge.records.tokens import ApiToken
from redoubt.model.ids import OrganisationId

MAX_TOKEN_DAYS = 366


def make_api_token(
    records: Records,
    organisation: OrganisationId,
    name: str,
    scopes: Iterable[Scope],
    who: str,
    days: int,
    now: datetime,
) -> tuple[ApiToken, str]:
    """Store a new token, and return it with its text, which is shown once."""
    secret = new_secret()
    token = ApiToken(
        id=f"t-{secrets.token_hex(8)}",
        organisation=organisation,
        name=check_name(name, "a name for the token"),
        scopes=tuple(sorted(scopes)),
        made_by=who,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    records.tokens.add(token, hash_secret(Purpose.API_TOKEN, secret))
    return token, format_api_token(secret)
