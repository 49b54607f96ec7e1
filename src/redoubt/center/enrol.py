"""Letting sites in, on the web port: what a site that has no certificate yet can ask for."""

from __future__ import annotations

import asyncio

from litestar import MediaType, get, post
from litestar.exceptions import PermissionDeniedException

from redoubt.center.certificate_office import TokenSpent
from redoubt.center.context import Center
from redoubt.edge.enrolment import (
    AUTHORITY_PATH,
    ENROL_PATH,
    RENEW_PATH,
    EnrolReply,
    EnrolRequest,
    RenewReply,
    RenewRequest,
)
from redoubt.edge.keys import public_key_text

MAX_BODY_BYTES = 64 * 1024


@get(AUTHORITY_PATH, public=True, media_type=MediaType.TEXT)
async def get_authority(center: Center) -> str:
    """The certificate of the center's authority, which a site holds against its token."""
    return center.authority.certificate_pem


@post(ENROL_PATH, public=True, status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def post_enrol(center: Center, data: EnrolRequest) -> EnrolReply:
    """Enrol a site's agent with its one-time token."""
    try:
        identity, certificate_pem = await asyncio.to_thread(
            center.certificates.enrol, data.token, data.csr_pem, center.clock()
        )
    except TokenSpent as exc:
        raise PermissionDeniedException(str(exc)) from exc
    return EnrolReply(
        certificate_pem=certificate_pem,
        ca_pem=center.authority.certificate_pem,
        agent_url=center.agent_url,
        center_key=public_key_text(center.signing_key.public_key()),
        organisation=identity.organisation,
        site=identity.site,
    )


@post(RENEW_PATH, public=True, status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def post_renew(center: Center, data: RenewRequest) -> RenewReply:
    """Renew the certificate of a site that was dark past its end, with its old key."""
    certificate_pem = await asyncio.to_thread(
        center.certificates.renew_after_dark, data, center.clock()
    )
    if certificate_pem is None:
        raise PermissionDeniedException(
            "this agent was revoked, or its key replaced: enrol it with a new token"
        )
    return RenewReply(certificate_pem)


route_handlers = (get_authority, post_enrol, post_renew)
