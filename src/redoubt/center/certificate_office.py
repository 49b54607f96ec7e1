"""Agents' certificates: a one-time token becomes one, and an old one becomes a new one.

Used by the web port (enrolment, and renewal by a site that was dark for too long) and by the
agents' port (renewal in time). A revoked agent gets nothing at either.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from redoubt.access.secret import Purpose, hash_secret
from redoubt.edge.enrolment import RenewRequest, parse_enrolment_token
from redoubt.edge.keys import (
    AgentIdentity,
    Authority,
    check_renewal,
    issue_agent_certificate,
    parse_agent_identity,
    parse_certificate,
)
from redoubt.edge.records import Records
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.audit import AuditEntry
from redoubt.model.errors import InputError

_SPENT = "this enrolment token was used already or has expired: make a new one at the center"


class TokenSpent(InputError):
    """An enrolment token that was good once, or never."""


class CertificateOffice:
    """Issues agents' certificates and notes each in the records. Its methods block."""

    def __init__(self, authority: Authority, records: Records) -> None:
        self._authority = authority
        self._records = records

    def enrol(self, token_text: str, csr_pem: str, now: datetime) -> tuple[AgentIdentity, str]:
        """Return a new agent and its certificate (PEM); the token is used up only then.

        Raises InputError where the token is none, TokenSpent where it was used or has expired,
        RemoteProtocolError where the request is none.
        """
        key = hash_secret(Purpose.ENROLMENT, parse_enrolment_token(token_text).secret)
        allowed = self._records.tokens.find_enrolment(key, now)
        if allowed is None:
            raise TokenSpent(_SPENT)
        identity = AgentIdentity(
            allowed.organisation, allowed.site, f"agent-{secrets.token_hex(6)}"
        )
        certificate_pem = issue_agent_certificate(self._authority, csr_pem, identity, now)
        if self._records.tokens.use_enrolment(key, now) is None:
            raise TokenSpent(_SPENT)
        fingerprint, serial, expires_at = _facts(certificate_pem)
        self._records.agents.add(
            Agent(
                organisation=identity.organisation,
                site=identity.site,
                agent=identity.agent,
                key_fingerprint=fingerprint,
                certificate_serial=serial,
                enrolled_at=now,
                renewed_at=now,
                expires_at=expires_at,
            )
        )
        entry = AuditEntry(
            at=now,
            who=f"agent:{identity.agent}",
            action="agent.enrol",
            object=f"site:{identity.site}",
            text=f"with a token made by {allowed.made_by}",
        )
        self._records.audit.add(identity.organisation, entry)
        return identity, certificate_pem

    def renew(self, shown: x509.Certificate, csr_pem: str, now: datetime) -> str | None:
        """Return a new certificate (PEM) for the agent of the certificate that was `shown`.

        None where the agent is unknown or revoked, or its key is another now: one that leaked and
        was replaced since is worth nothing. Raises RemoteProtocolError where the request is none.
        """
        identity = parse_agent_identity(shown)
        known = self._records.agents.get(*identity)
        if known is None or known.key_fingerprint != _key_fingerprint(shown):
            return None
        certificate_pem = issue_agent_certificate(self._authority, csr_pem, identity, now)
        fingerprint, serial, expires_at = _facts(certificate_pem)
        is_noted = self._records.agents.renew(
            identity.organisation,
            identity.site,
            identity.agent,
            key_fingerprint=fingerprint,
            certificate_serial=serial,
            now=now,
            expires_at=expires_at,
        )
        return certificate_pem if is_noted else None

    def renew_after_dark(self, request: RenewRequest, now: datetime) -> str | None:
        """As `renew`, for a certificate that may have expired: its key has signed the request.

        Raises RemoteProtocolError where it has not.
        """
        check_renewal(
            self._authority,
            request.certificate_pem,
            request.csr_pem,
            request.signature_bytes(),
        )
        return self.renew(parse_certificate(request.certificate_pem), request.csr_pem, now)


def _facts(certificate_pem: str) -> tuple[str, str, datetime]:
    """Return the key's fingerprint, the certificate's serial in hex, and its end."""
    certificate = parse_certificate(certificate_pem)
    return (
        _key_fingerprint(certificate),
        f"{certificate.serial_number:x}",
        certificate.not_valid_after_utc,
    )


def _key_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's public key in hex."""
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public)
    return digest.finalize().hex()
