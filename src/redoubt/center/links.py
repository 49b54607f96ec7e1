"""Secrets made new, and the one-time links that let the first person in."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from redoubt.access.secret import SECRET_BYTES, Purpose, hash_secret, secret_text
from redoubt.edge.records import Records
from redoubt.edge.records.sessions import Link, LinkPurpose
from redoubt.model.ids import OrganisationId, UserId

LINK_LIFE = timedelta(minutes=15)


def new_secret() -> str:
    return secret_text(secrets.token_bytes(SECRET_BYTES))


def make_link(
    records: Records,
    organisation: OrganisationId,
    now: datetime,
    *,
    purpose: LinkPurpose = LinkPurpose.SETUP,
    user: UserId | None = None,
) -> str:
    """Store a new one-time link and return its path, "/link/<code>", which is shown once."""
    secret = new_secret()
    link = Link(
        organisation=organisation,
        purpose=purpose,
        user=user,
        created_at=now,
        expires_at=now + LINK_LIFE,
    )
    records.sessions.add_link(link, hash_secret(Purpose.LINK, secret))
    return f"/link/{secret}"
