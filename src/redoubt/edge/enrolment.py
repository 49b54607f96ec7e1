"""What a site and its center say to each other before they trust each other.

An enrolment token is "rdt1.<secret>.<fingerprint>": a one-time secret, bound to a site, and the
SHA-256 of the authority's certificate. The site first fetches that certificate (AUTHORITY_PATH,
public, sent no secret), holds it against the fingerprint, and from then on trusts it alone; only
then does the secret travel. A site that was dark past the end of its certificate comes back by
RENEW_PATH with a request that its old key has signed.
"""

from __future__ import annotations

import base64
import re
import secrets

import msgspec
from cryptography import x509

from redoubt.edge.keys import fingerprint, parse_certificate
from redoubt.model.errors import InputError, RemoteProtocolError

AUTHORITY_PATH = "/api/v1/enrol/ca"
"""GET: the authority's certificate as PEM text."""
ENROL_PATH = "/api/v1/enrol"
"""POST EnrolRequest as JSON → EnrolReply."""
RENEW_PATH = "/api/v1/enrol/renew"
"""POST RenewRequest as JSON → RenewReply."""

_TOKEN = re.compile(r"rdt1\.([A-Za-z0-9_-]{22,86})\.([0-9a-f]{64})")


class EnrolRequest(msgspec.Struct, frozen=True):
    token: str
    csr_pem: str


class EnrolReply(msgspec.Struct, frozen=True):
    """`center_key` is the raw Ed25519 key, in base64, that signs this site's register."""

    certificate_pem: str
    ca_pem: str
    agent_url: str
    center_key: str
    organisation: str
    site: str


class RenewRequest(msgspec.Struct, frozen=True):
    """`signature` is base64 of `keys.sign_renewal` by the old certificate's key."""

    certificate_pem: str
    csr_pem: str
    signature: str

    def signature_bytes(self) -> bytes:
        """Raises RemoteProtocolError where the signature is not base64."""
        try:
            return base64.b64decode(self.signature, validate=True)
        except ValueError as exc:
            raise RemoteProtocolError("expected the signature in base64") from exc


class RenewReply(msgspec.Struct, frozen=True):
    certificate_pem: str


class EnrolmentToken(msgspec.Struct, frozen=True):
    """`fingerprint` is the SHA-256 of the authority's certificate, in hex."""

    secret: str
    fingerprint: str

    def __str__(self) -> str:
        return f"rdt1.{self.secret}.{self.fingerprint}"

    def __repr__(self) -> str:
        return f"EnrolmentToken(fingerprint={self.fingerprint!r})"


def new_enrolment_token(authority: x509.Certificate) -> EnrolmentToken:
    """Return a token with 256 random bits; the center keeps only a hash of it."""
    return EnrolmentToken(secrets.token_urlsafe(32), fingerprint(authority))


def parse_enrolment_token(text: str) -> EnrolmentToken:
    """Raises InputError, which does not repeat the secret, where `text` is not a token."""
    match = _TOKEN.fullmatch(text.strip())
    if match is None:
        raise InputError("expected an enrolment token like 'rdt1.<secret>.<fingerprint>'")
    return EnrolmentToken(match[1], match[2])


def check_pinned(ca_pem: str, token: EnrolmentToken) -> x509.Certificate:
    """Return the authority's certificate where it is the one that the token names.

    Raises RemoteProtocolError otherwise: then somebody stands between site and center, or the
    token is of another center.
    """
    certificate = parse_certificate(ca_pem)
    if fingerprint(certificate) != token.fingerprint:
        raise RemoteProtocolError(
            "the center shows another authority than the token names: expected fingerprint "
            f"{token.fingerprint[:16]}…, got {fingerprint(certificate)[:16]}…"
        )
    return certificate
