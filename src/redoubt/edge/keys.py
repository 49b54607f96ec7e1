"""Keys and certificates of the link between a site and its center.

A center has a small certificate authority of its own. It signs the server certificates of its ports
and the 7-day client certificates of its agents. Who an agent is stands in one place, a URI in the
certificate's subject alternative name, and the authority alone writes it: of a certificate request
nothing is taken but the public key. Certificates carry ECDSA P-256 keys, because browsers refuse
Ed25519 in TLS; registers are signed with Ed25519 (RFC 8032).

Times are arguments. Files with a private key are mode 0600. `tls` makes ssl contexts of all this.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from redoubt.edge.files import write_file
from redoubt.model.errors import InputError, RemoteProtocolError
from redoubt.model.ids import OrganisationId, SiteId, check_id

AGENT_CERTIFICATE_DAYS = 7
SERVER_CERTIFICATE_DAYS = 397
AUTHORITY_DAYS = 20 * 365
CLOCK_SLACK = timedelta(hours=1)
"""How far a certificate begins in the past: clocks of sites are not always right."""
MAX_PEM_BYTES = 16 * 1024

_IDENTITY = re.compile(r"redoubt:agent/([^/]+)/([^/]+)/([^/]+)")
_RENEWAL_DOMAIN = b"redoubt/renew/v1\n"


class AgentIdentity(NamedTuple):
    """Who an agent is: what its certificate says and nothing else does."""

    organisation: OrganisationId
    site: SiteId
    agent: str

    @property
    def uri(self) -> str:
        return f"redoubt:agent/{self.organisation}/{self.site}/{self.agent}"


class Authority(NamedTuple):
    """A center's certificate authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> str:
        return certificate_pem(self.certificate)


# -- the authority -----------------------------------------------------------------------------


def new_authority(name: str, now: datetime) -> Authority:
    """Return a new authority, valid for 20 years from `now`; `name` is for people."""
    key = new_key()
    subject = _common_name(name)
    builder = (
        _certificate(subject, subject, key.public_key(), now, timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(key, builder.sign(key, hashes.SHA256()))


def save_authority(authority: Authority, folder: Path) -> None:
    """Write ca.key (mode 0600) and ca.crt into `folder`."""
    save_key(authority.key, folder / "ca.key")
    write_file(folder / "ca.crt", authority.certificate_pem.encode(), mode=0o644)


def load_authority(folder: Path) -> Authority:
    """Raises InputError where ca.key or ca.crt is missing, unreadable or open to others."""
    return Authority(load_key(folder / "ca.key"), load_certificate(folder / "ca.crt"))


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's DER form in 64 hex digits: what a site pins."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def issue_agent_certificate(
    authority: Authority,
    csr_pem: str,
    identity: AgentIdentity,
    now: datetime,
    days: float = AGENT_CERTIFICATE_DAYS,
) -> str:
    """Return a client certificate (PEM) of `identity` for the public key of a request.

    Raises RemoteProtocolError where the request is not one, or is not signed by its own key;
    InputError where a part of the identity cannot be an id.
    """
    for part in identity:
        check_id(part)
    public_key = _parse_request(csr_pem)
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    return _issue(
        authority,
        _common_name(identity.agent),
        public_key,
        san,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        now,
        timedelta(days=days),
    )


def issue_server_certificate(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    hosts: Iterable[str],
    now: datetime,
    days: float = SERVER_CERTIFICATE_DAYS,
) -> str:
    """Return a server certificate (PEM) for `hosts`: DNS names and IP addresses."""
    names = [_general_name(host) for host in hosts]
    if not names:
        raise InputError("a server certificate needs at least one host name or address")
    return _issue(
        authority,
        _common_name(str(names[0].value)),
        public_key,
        x509.SubjectAlternativeName(names),
        ExtendedKeyUsageOID.SERVER_AUTH,
        now,
        timedelta(days=days),
    )


# -- what a certificate says -------------------------------------------------------------------


def parse_agent_identity(certificate: x509.Certificate | bytes) -> AgentIdentity:
    """Return who the holder of an agent certificate is; bytes are DER, as ssl's getpeercert gives.

    It reads the certificate and does not verify it: the TLS handshake has, or `check_renewal` does.
    Raises RemoteProtocolError where the certificate is not an agent's.
    """
    try:
        if isinstance(certificate, bytes):
            certificate = x509.load_der_x509_certificate(certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound) as exc:
        raise RemoteProtocolError("certificate is not an agent's: it names no agent") from exc
    match = _IDENTITY.fullmatch(uris[0]) if len(uris) == 1 == len(list(names)) else None
    if match is None:
        raise RemoteProtocolError(f"certificate is not an agent's: expected one name, got {uris!r}")
    organisation, site, agent = (_checked(part) for part in match.groups())
    return AgentIdentity(OrganisationId(organisation), SiteId(site), agent)


def renewal_due_at(certificate: x509.Certificate) -> datetime:
    """Return the middle of a certificate's life: from then on it should be renewed."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) / 2


def is_expired(certificate: x509.Certificate, now: datetime) -> bool:
    return now >= certificate.not_valid_after_utc


def request_certificate(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a certificate request (PEM) that proves possession of `key` and claims nothing."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return _pem(builder.sign(key, hashes.SHA256()))


def sign_renewal(key: ec.EllipticCurvePrivateKey, csr_pem: str) -> bytes:
    """Return what proves, when the old certificate has expired, that a request is its holder's."""
    return key.sign(_RENEWAL_DOMAIN + csr_pem.encode(), ec.ECDSA(hashes.SHA256()))


def check_renewal(
    authority: Authority, old_certificate_pem: str, csr_pem: str, signature: bytes
) -> AgentIdentity:
    """Return who asks for a new certificate with one that may have expired.

    Raises RemoteProtocolError where the old certificate is not this authority's, not an agent's, or
    the signature is not by its key. Whether the agent was revoked is for the caller to ask.
    """
    old = parse_certificate(old_certificate_pem)
    try:
        old.verify_directly_issued_by(authority.certificate)
        _p256(old.public_key()).verify(
            signature, _RENEWAL_DOMAIN + csr_pem.encode(), ec.ECDSA(hashes.SHA256())
        )
    except (InvalidSignature, ValueError, TypeError) as exc:
        raise RemoteProtocolError("renewal is not signed by a certificate of this center") from exc
    return parse_agent_identity(old)


# -- keys ----------------------------------------------------------------------------------------


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new TLS key (ECDSA P-256)."""
    return ec.generate_private_key(ec.SECP256R1())


def new_signing_key() -> Ed25519PrivateKey:
    """Return a new key to sign registers and orders with."""
    return Ed25519PrivateKey.generate()


def save_key(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, path: Path) -> None:
    """Write a private key as PKCS #8 PEM, mode 0600."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_file(path, pem)


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises InputError where `path` is not a P-256 key that only its owner can read."""
    key = _load_private(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"expected an ECDSA key in {path}")
    return key


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Raises InputError where `path` is not an Ed25519 key that only its owner can read."""
    key = _load_private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"expected an Ed25519 key in {path}")
    return key


def public_key_text(key: Ed25519PublicKey) -> str:
    """Return the 32 raw bytes in base64: the `center_key` that a site pins."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def parse_public_key(text: str) -> Ed25519PublicKey:
    """Raises RemoteProtocolError where `text` is not 32 bytes in base64."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except ValueError as exc:
        raise RemoteProtocolError(f"expected an Ed25519 key in base64, got {text[:60]!r}") from exc


# -- certificates --------------------------------------------------------------------


def certificate_pem(certificate: x509.Certificate) -> str:
    return _pem(certificate)


def parse_certificate(pem: str) -> x509.Certificate:
    """Raises RemoteProtocolError where `pem` is not one certificate, or over 16 KiB."""
    try:
        if len(pem) > MAX_PEM_BYTES:
            raise ValueError(f"longer than {MAX_PEM_BYTES} bytes")
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as exc:
        raise RemoteProtocolError(f"certificate cannot be read: {exc}") from exc


def load_certificate(path: Path) -> x509.Certificate:
    """Raises InputError where `path` is not a certificate."""
    try:
        return parse_certificate(path.read_text(encoding="ascii"))
    except (OSError, ValueError, RemoteProtocolError) as exc:
        raise InputError(f"expected a certificate in {path}: {exc}") from exc


# -- helpers -------------------------------------------------------------------------------------


def _issue(
    authority: Authority,
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    names: x509.SubjectAlternativeName,
    usage: x509.ObjectIdentifier,
    now: datetime,
    life: timedelta,
) -> str:
    issuer = authority.certificate
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _certificate(subject, issuer.subject, public_key, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(authority_id, critical=False)
    )
    return _pem(builder.sign(authority.key, hashes.SHA256()))


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = now.astimezone(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.IPAddress | x509.DNSName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _parse_request(csr_pem: str) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request; everything else that it says is ignored."""
    try:
        if len(csr_pem) > MAX_PEM_BYTES:
            raise ValueError(f"longer than {MAX_PEM_BYTES} bytes")
        request = x509.load_pem_x509_csr(csr_pem.encode())
        if not request.is_signature_valid:
            raise ValueError("it is not signed by its own key")
        return _p256(request.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise RemoteProtocolError(f"certificate request cannot be used: {exc}") from exc


def _p256(key: object) -> ec.EllipticCurvePublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("expected an ECDSA P-256 key")


def _checked(part: str) -> str:
    try:
        return check_id(part)
    except InputError as exc:
        raise RemoteProtocolError(f"certificate is not an agent's: {exc}") from exc


def _load_private(path: Path) -> object:
    try:
        if path.stat().st_mode & 0o077:
            raise InputError(f"{path} can be read by others: chmod 600 it")
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise InputError(f"expected a private key in {path}: {exc}") from exc


def _pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode("ascii")
