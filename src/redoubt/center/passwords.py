"""Passwords: argon2id hashes, checked in a thread, so that a sign-in never holds up the pages."""

from __future__ import annotations

import secrets
from functools import cache

import argon2

_HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
"""RFC 9106's second recommended choice: 64 MiB, three passes."""


@cache
def _nobody() -> str:
    """A hash that no password has, so that guessing at unknown names takes the same time."""
    return _HASHER.hash(secrets.token_hex())


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is the one; a `password_hash` of None is nobody's, and takes as long."""
    try:
        _HASHER.verify(password_hash or _nobody(), password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(password_hash)
