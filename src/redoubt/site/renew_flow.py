"""The agent's certificate: renewed in the middle of its life, after its end with the old key."""

from __future__ import annotations

import asyncio
import logging

from cryptography import x509

from redoubt.edge.keys import (
    is_expired,
    load_certificate,
    load_key,
    renewal_due_at,
    request_certificate,
)
from redoubt.edge.tasks import SayOnce
from redoubt.edge.tls import client_context
from redoubt.model.errors import InputError, RemoteError, ServiceError
from redoubt.site.agent import Agent
from redoubt.site.enrol import keep_certificate, renew_after_expiry

LOOK_EVERY_S = 60.0
_log = logging.getLogger(__name__)


async def renew_flow(agent: Agent, look_every_s: float = LOOK_EVERY_S) -> None:
    """Look at the certificate every minute until cancelled, by the agent's clock."""
    say = SayOnce(_log, "renewal of the agent's certificate")
    while True:
        try:
            await renew_if_due(agent)
        except (RemoteError, ServiceError, InputError) as exc:
            say.gone(exc)
        else:
            say.back()
        await asyncio.sleep(look_every_s)


async def renew_if_due(agent: Agent) -> bool:
    """Renew the certificate where its middle has passed; return whether there is a new one.

    Raises RemoteError or InputError where the center does not give one, ServiceError where the disk
    does not take it; the old one stays.
    """
    certificate = load_certificate(agent.folder.certificate)
    now = agent.clock()
    if now < renewal_due_at(certificate):
        return False
    if is_expired(certificate, now):
        new = await renew_after_expiry(agent.folder, agent.config.center)
    else:
        new = await _renew(agent)
    await agent.link.use(
        client_context(agent.folder.authority, agent.folder.certificate, agent.folder.key)
    )
    _log.info("new certificate, valid until %s", new.not_valid_after_utc.isoformat())
    return True


async def _renew(agent: Agent) -> x509.Certificate:
    csr_pem = request_certificate(load_key(agent.folder.key))
    return keep_certificate(agent.folder, await agent.link.renew(csr_pem))
