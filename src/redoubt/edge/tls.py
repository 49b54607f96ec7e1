"""TLS for both ends of the link: 1.3 only, and no authority but the center's own."""

from __future__ import annotations

import ssl
from pathlib import Path

from redoubt.model.errors import InputError


def server_context(
    certificate: Path, key: Path, client_authority: Path | None = None
) -> ssl.SSLContext:
    """Return TLS 1.3 for a server; with `client_authority` a client certificate is required."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # Without tickets nobody resumes a session under a certificate that has expired meanwhile.
    context.num_tickets = 0
    _load_chain(context, certificate, key)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, client_authority)
    return context


def client_context(
    authority: Path, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return TLS 1.3 for a client that trusts `authority` alone and shows `certificate`."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    _load_authority(context, authority)
    if certificate is not None and key is not None:
        _load_chain(context, certificate, key)
    return context


def pinned_context(authority_pem: str | None) -> ssl.SSLContext:
    """Return TLS 1.3 for a client of the web port: the center's authority, known by its PEM text,
    and the system's, since an operator's own certificate or a TLS proxy may stand there.

    With None it trusts nobody and verifies nothing: good only for fetching what is public and will
    be held against a fingerprint.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if authority_pem is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=authority_pem)
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _context(protocol: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except OSError as exc:
        raise InputError(f"cannot use {certificate} with {key}: {exc}") from exc


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as exc:
        raise InputError(f"cannot use {authority} as a certificate authority: {exc}") from exc
