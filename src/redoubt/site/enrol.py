"""Becoming a center's site, and coming back after a time in the dark.

The token pins the center's authority: its certificate is fetched first, with nothing secret sent,
and held against the token's fingerprint; only over a connection that this authority or one of the
system's vouches for does the token travel. Plain http is spoken on loopback only.
"""

from __future__ import annotations

import base64
import ssl
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from redoubt.edge.agent_link import read_bounded, translated
from redoubt.edge.enrolment import (
    AUTHORITY_PATH,
    ENROL_PATH,
    RENEW_PATH,
    EnrolmentToken,
    EnrolReply,
    EnrolRequest,
    RenewReply,
    RenewRequest,
    check_pinned,
)
from redoubt.edge.files import write_file
from redoubt.edge.keys import (
    load_certificate,
    load_key,
    new_key,
    parse_agent_identity,
    parse_certificate,
    parse_public_key,
    request_certificate,
    save_key,
    sign_renewal,
)
from redoubt.edge.tls import pinned_context
from redoubt.model.errors import InputError, RemoteError, RemoteProtocolError
from redoubt.site.config import SiteConfig, save_config
from redoubt.site.folder import SiteFolder

_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=10.0)
_MAX_ANSWER_BYTES = 256 * 1024

_Reply = TypeVar("_Reply")


async def enrol(folder: SiteFolder, center_url: str, token: EnrolmentToken) -> SiteConfig:
    """Make DIR a site of the center, and return its configuration.

    The key is kept from an earlier try that failed. Raises InputError where DIR is a site already
    or the center refuses the token, RemoteError where the center cannot be reached or trusted.
    """
    if folder.is_enrolled:
        raise InputError(f"{folder.path} is a site already: take another folder, or remove it")
    folder.path.mkdir(parents=True, exist_ok=True)
    ca_pem = (await _ask(center_url, AUTHORITY_PATH, _unverified(center_url))).decode("ascii")
    check_pinned(ca_pem, token)
    if not folder.key.exists():
        save_key(new_key(), folder.key)
    key = load_key(folder.key)
    request = EnrolRequest(str(token), request_certificate(key))
    answer = await _ask(center_url, ENROL_PATH, _pinned(center_url, ca_pem), request)
    reply = _decode(answer, EnrolReply)
    return _keep(folder, center_url, key, token, reply)


async def renew_after_expiry(folder: SiteFolder, center_url: str) -> x509.Certificate:
    """Fetch a new certificate for a site that was dark past the end of its old one.

    Raises RemoteError where the center is not reached, or the agent was revoked.
    """
    key = load_key(folder.key)
    csr_pem = request_certificate(key)
    signature = base64.b64encode(sign_renewal(key, csr_pem)).decode()
    old_pem = folder.certificate.read_text(encoding="ascii")
    context = _pinned(center_url, folder.authority.read_text(encoding="ascii"))
    request = RenewRequest(old_pem, csr_pem, signature)
    answer = await _ask(center_url, RENEW_PATH, context, request)
    return keep_certificate(folder, _decode(answer, RenewReply).certificate_pem)


def keep_certificate(folder: SiteFolder, certificate_pem: str) -> x509.Certificate:
    """Put a renewed certificate in the place of the old one.

    Raises RemoteProtocolError where it is not for this agent, this key and by this authority.
    """
    new = parse_certificate(certificate_pem)
    old = load_certificate(folder.certificate)
    _check_ours(new, load_certificate(folder.authority), load_key(folder.key))
    if parse_agent_identity(new) != parse_agent_identity(old):
        raise RemoteProtocolError("center sent a certificate of another agent")
    write_file(folder.certificate, certificate_pem.encode(), mode=0o644)
    return new


def _keep(
    folder: SiteFolder,
    center_url: str,
    key: ec.EllipticCurvePrivateKey,
    token: EnrolmentToken,
    reply: EnrolReply,
) -> SiteConfig:
    authority = check_pinned(reply.ca_pem, token)
    certificate = parse_certificate(reply.certificate_pem)
    _check_ours(certificate, authority, key)
    identity = parse_agent_identity(certificate)
    if (identity.organisation, identity.site) != (reply.organisation, reply.site):
        raise RemoteProtocolError("center's certificate names another site than its answer")
    parse_public_key(reply.center_key)
    config = SiteConfig(
        center=center_url,
        agent_url=_check_agent_url(reply.agent_url),
        organisation=identity.organisation,
        site=identity.site,
    )
    write_file(folder.authority, reply.ca_pem.encode(), mode=0o644)
    write_file(folder.certificate, reply.certificate_pem.encode(), mode=0o644)
    write_file(folder.center_key, f"{reply.center_key}\n".encode(), mode=0o644)
    save_config(config, folder)
    return config


def _check_ours(
    certificate: x509.Certificate, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError) as exc:
        raise RemoteProtocolError("center sent a certificate of another authority") from exc
    if certificate.public_key() != key.public_key():
        raise RemoteProtocolError("center sent a certificate for another key")


def _check_agent_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise RemoteProtocolError(f"expected an https URL of the agent port, got {text[:80]!r}")
    return text.rstrip("/")


async def _ask(
    center_url: str,
    path: str,
    context: ssl.SSLContext | None,
    request: msgspec.Struct | None = None,
) -> bytes:
    """GET, or POST a request as JSON. Raises InputError where the center refuses what we sent."""
    connector = aiohttp.TCPConnector() if context is None else aiohttp.TCPConnector(ssl=context)
    body = None if request is None else msgspec.json.encode(request)
    async with (
        translated(),
        aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session,
        session.request(
            "GET" if body is None else "POST",
            center_url + path,
            data=body,
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as response,
    ):
        answer = await read_bounded(response, _MAX_ANSWER_BYTES)
        status = response.status
    if status in (200, 201):
        return answer
    if 400 <= status < 500:
        raise InputError(f"the center refuses: {_sentence(answer, status)}")
    raise RemoteError(f"center answers {status}: {_sentence(answer, status)}")


def _sentence(answer: bytes, status: int) -> str:
    """Return the center's own words where it gave some."""
    try:
        said = msgspec.json.decode(answer, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return f"HTTP {status}"
    return str(said.get("error") or said.get("detail") or f"HTTP {status}")[:300]


def _decode(answer: bytes, shape: type[_Reply]) -> _Reply:
    try:
        return msgspec.json.decode(answer, type=shape)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"center's answer cannot be read: {exc}") from exc


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _unverified(center_url: str) -> ssl.SSLContext | None:
    return pinned_context(None) if _is_https(center_url) else None


def _pinned(center_url: str, ca_pem: str) -> ssl.SSLContext | None:
    return pinned_context(ca_pem) if _is_https(center_url) else None
