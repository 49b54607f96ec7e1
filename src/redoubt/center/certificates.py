"""The server certificates of a center's ports: its own authority's, or files that were given."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509

from redoubt.center.context import utc_now
from redoubt.center.folder import CenterFolder
from redoubt.center.settings import Settings, is_any_address
from redoubt.edge.files import write_file
from redoubt.edge.keys import (
    issue_server_certificate,
    load_certificate,
    new_key,
    renewal_due_at,
    save_key,
)
from redoubt.model.errors import InputError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def web_certificate(folder: CenterFolder, settings: Settings) -> tuple[Path | None, Path | None]:
    """Return certificate and key of the web port: (None, None) where it speaks plain HTTP."""
    if settings.web_certificate and settings.web_key:
        given = folder.root / settings.web_certificate, folder.root / settings.web_key
        for path in given:
            if not path.is_file():
                raise InputError(f"no such file: {path}")
        return given
    if not settings.web().tls:
        return None, None
    return own_certificate(folder, "web", server_names(settings, settings.web().host), utc_now())


def agent_certificate(folder: CenterFolder, settings: Settings) -> tuple[Path, Path]:
    """Return certificate and key of the agents' port: always the center's own."""
    return own_certificate(
        folder, "agents", server_names(settings, settings.agents().host), utc_now()
    )


def server_names(settings: Settings, host: str) -> tuple[str, ...]:
    """Return every name that somebody may reach a port by, for its certificate."""
    names = [settings.public_host, None if is_any_address(host) else host, *LOOPBACK_NAMES]
    return tuple(dict.fromkeys(name for name in names if name))


def own_certificate(
    folder: CenterFolder, port: str, names: tuple[str, ...], now: datetime
) -> tuple[Path, Path]:
    """Return a certificate of the center's own authority for `names`, made anew where it must be.

    It is kept until half its life is over or the names have changed.
    """
    certificate, key = folder.keys / f"{port}.crt", folder.keys / f"{port}.key"
    if not (certificate.exists() and key.exists()) or not _still_good(certificate, names, now):
        private = new_key()
        save_key(private, key)
        pem = issue_server_certificate(folder.authority(), private.public_key(), names, now)
        write_file(certificate, pem.encode(), mode=0o644)
    return certificate, key


def _still_good(path: Path, names: tuple[str, ...], now: datetime) -> bool:
    certificate = load_certificate(path)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return now < renewal_due_at(certificate) and {str(name.value) for name in found} == set(names)
