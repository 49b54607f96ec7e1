"""Enrolment tokens: what an operator carries to a new site."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from redoubt.access.secret import Purpose, hash_secret
from redoubt.edge.enrolment import new_enrolment_token
from redoubt.edge.records import Records
from redoubt.edge.records.tokens import Enrolment
from redoubt.model.ids import OrganisationId, SiteId

ENROLMENT_LIFE = timedelta(hours=24)


def make_enrolment_token(
    records: Records,
    authority: x509.Certificate,
    organisation: OrganisationId,
    site: SiteId,
    who: str,
    now: datetime,
) -> str:
    """Store a new one-time token for `site` and return its text, which is shown once."""
    token = new_enrolment_token(authority)
    enrolment = Enrolment(
        organisation=organisation,
        site=site,
        made_by=who,
        created_at=now,
        expires_at=now + ENROLMENT_LIFE,
    )
    records.tokens.add_enrolment(enrolment, hash_secret(Purpose.ENROLMENT, token.secret))
    return str(token)
