"""A site comes in with a token, once; comes back with its old key; and stays out once revoked."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509

from redoubt.center.context import Center
from redoubt.center.site_tokens import make_enrolment_token
from redoubt.edge.enrolment import EnrolReply, check_pinned, parse_enrolment_token
from redoubt.edge.keys import (
    issue_agent_certificate,
    new_authority,
    new_key,
    parse_agent_identity,
    parse_certificate,
    parse_public_key,
    request_certificate,
    sign_renewal,
)
from redoubt.model.ids import SiteId
from tests.center.conftest import ACME, NOW, Client, Clock, Connect

SITE = SiteId("bunker")


def token(center: Center) -> str:
    authority = center.authority.certificate
    return make_enrolment_token(center.records, authority, ACME, SITE, "console", center.clock())


async def enrol(client: Client, text: str, csr_pem: str) -> EnrolReply:
    answer = await client.post("/api/v1/enrol", json={"token": text, "csr_pem": csr_pem})
    assert answer.status_code == 200, answer.text
    return EnrolReply(**answer.json())


async def test_a_site_pins_the_authority_and_gets_a_certificate(
    center: Center, connect: Connect
) -> None:
    center.agent_url = "https://127.0.0.1:8443"
    client, text = connect(), token(center)
    ca_pem = (await client.get("/api/v1/enrol/ca")).text
    check_pinned(ca_pem, parse_enrolment_token(text))
    reply = await enrol(client, text, request_certificate(new_key()))
    certificate = parse_certificate(reply.certificate_pem)
    identity = parse_agent_identity(certificate)
    assert (identity.organisation, identity.site) == (ACME, SITE)
    assert (reply.organisation, reply.site, reply.agent_url) == (ACME, SITE, center.agent_url)
    assert parse_public_key(reply.center_key) == center.signing_key.public_key()
    (agent,) = center.records.agents.list(ACME)
    assert (agent.agent, agent.expires_at) == (identity.agent, NOW + timedelta(days=7))
    assert center.records.audit.list(ACME)[0].action == "agent.enrol"


async def test_a_token_is_good_once_in_time_and_for_a_good_request(
    center: Center, connect: Connect, clock: Clock
) -> None:
    client, text = connect(), token(center)
    csr = request_certificate(new_key())
    bad = await client.post("/api/v1/enrol", json={"token": text, "csr_pem": "no request"})
    assert bad.status_code == 400
    await enrol(client, text, csr)
    again = await client.post("/api/v1/enrol", json={"token": text, "csr_pem": csr})
    assert again.status_code == 403
    assert text.split(".")[1] not in again.text
    late = token(center)
    clock.move(hours=24)
    answer = await client.post("/api/v1/enrol", json={"token": late, "csr_pem": csr})
    assert answer.status_code == 403
    odd = await client.post("/api/v1/enrol", json={"token": "guess", "csr_pem": csr})
    assert odd.status_code == 400


@pytest.fixture
async def dark(center: Center, connect: Connect, clock: Clock) -> dict[str, str]:
    """The renewal request of a site that was dark for a month."""
    key = new_key()
    reply = await enrol(connect(), token(center), request_certificate(key))
    clock.move(days=30)
    csr = request_certificate(new_key())
    return {
        "certificate_pem": reply.certificate_pem,
        "csr_pem": csr,
        "signature": base64.b64encode(sign_renewal(key, csr)).decode(),
    }


async def test_a_site_that_was_dark_comes_back_with_its_old_key(
    center: Center, connect: Connect, dark: dict[str, str], clock: Clock
) -> None:
    answer = await connect().post("/api/v1/enrol/renew", json=dark)
    assert answer.status_code == 200, answer.text
    certificate = parse_certificate(answer.json()["certificate_pem"])
    assert certificate.not_valid_after_utc == clock.now + timedelta(days=7)
    old = x509.load_pem_x509_certificate(dark["certificate_pem"].encode())
    assert parse_agent_identity(certificate) == parse_agent_identity(old)
    # The old key has been replaced: whoever finds it later gets nothing for it.
    assert (await connect().post("/api/v1/enrol/renew", json=dark)).status_code == 403


async def test_a_revoked_agent_stays_out(
    center: Center, connect: Connect, dark: dict[str, str]
) -> None:
    (agent,) = center.records.agents.list(ACME)
    center.records.agents.revoke(ACME, SITE, agent.agent, center.clock())
    answer = await connect().post("/api/v1/enrol/renew", json=dark)
    assert answer.status_code == 403


async def test_a_renewal_that_another_key_signed_is_refused(
    center: Center, connect: Connect, dark: dict[str, str]
) -> None:
    forged = base64.b64encode(sign_renewal(new_key(), dark["csr_pem"])).decode()
    for change in ({"signature": forged}, {"signature": "?"}, {"csr_pem": "x"}):
        answer = await connect().post("/api/v1/enrol/renew", json=dark | change)
        assert answer.status_code == 400, change


async def test_a_certificate_of_another_authority_is_worth_nothing(
    center: Center, connect: Connect, dark: dict[str, str]
) -> None:
    known = parse_agent_identity(parse_certificate(dark["certificate_pem"]))
    key, stranger = new_key(), new_authority("stranger", NOW)
    forged = issue_agent_certificate(stranger, request_certificate(key), known, NOW)
    signature = base64.b64encode(sign_renewal(key, dark["csr_pem"])).decode()
    body = dark | {"certificate_pem": forged, "signature": signature}
    assert (await connect().post("/api/v1/enrol/renew", json=body)).status_code == 400


async def test_renewing_in_time_is_noted_and_ends_with_revocation(
    center: Center, connect: Connect, clock: Clock
) -> None:
    reply = await enrol(connect(), token(center), request_certificate(new_key()))
    shown = parse_certificate(reply.certificate_pem)
    clock.move(days=4)
    csr = request_certificate(new_key())
    renewed = center.certificates.renew(shown, csr, clock())
    assert renewed is not None
    # The old certificate is good for three days more, its key was replaced.
    assert center.certificates.renew(shown, csr, clock()) is None
    shown = parse_certificate(renewed)
    (agent,) = center.records.agents.list(ACME)
    assert agent.expires_at == clock.now + timedelta(days=7)
    center.records.agents.revoke(ACME, SITE, agent.agent, clock())
    assert center.certificates.renew(shown, csr, clock()) is None
