"""Secrets that are shown once and stored hashed: API tokens, enrolment tokens, sessions, links.

All carry 256 random bits, so one SHA-256 is enough to store them by: nothing can be guessed from
it, and a lookup by hash leaks no prefix by its timing. (Passwords, which people choose, are another
matter: see `password`.) The hash is over a purpose as well, so that a secret of one kind can never
be used as another. Randomness is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from enum import StrEnum

SECRET_BYTES = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Purpose(StrEnum):
    """What a secret is for, and the prefix that a leaked one can be recognised by."""

    API_TOKEN = "rda1"  # noqa: S105 - the prefix that tells what it is, not a secret
    ENROLMENT = "rdt1"
    """Its text also carries what to pin: see `redoubt.edge.enrolment`."""
    SESSION = "session"
    LINK = "link"


def secret_text(random_bytes: bytes) -> str:
    """Return 32 random bytes as 43 characters that are safe in a URL, a header and a file."""
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"expected {SECRET_BYTES} random bytes, got {len(random_bytes)}")
    return base64.urlsafe_b64encode(random_bytes).rstrip(b"=").decode()


def is_secret(text: str) -> bool:
    return _SECRET.fullmatch(text) is not None


def hash_secret(purpose: Purpose, secret: str) -> str:
    """Return what is stored in place of the secret: 64 hex digits."""
    return hashlib.sha256(f"redoubt/{purpose}/v1\n{secret}".encode()).hexdigest()


def format_api_token(secret: str) -> str:
    """Return the token as its user keeps it: "rda1.<secret>"."""
    return f"{Purpose.API_TOKEN}.{secret}"


def parse_api_token(text: str) -> str | None:
    """Return the secret of an API token, or None where `text` is none."""
    prefix, _, secret = text.partition(".")
    return secret if prefix == Purpose.API_TOKEN and is_secret(secret) else None


def csrf_token(session_secret: str) -> str:
    """Return the synchronizer token of a session: whoever knows it could read a page of it."""
    return hmac.digest(session_secret.encode(), b"redoubt/csrf/v1", "sha256").hex()


def is_csrf_token(session_secret: str, given: str) -> bool:
    return hmac.compare_digest(csrf_token(session_secret).encode(), given.encode())
