"""What a password must be, after NIST SP 800-63B: long enough, and nothing that anybody guesses.

No rules on digits and punctuation: they make passwords worse. Hashing (argon2id) is the edge's.
"""

from __future__ import annotations

import unicodedata

from redoubt.model.errors import InputError

MIN_LENGTH = 12
MAX_LENGTH = 256
"""Hashing cost grows with length; nobody types more."""

_OVERUSED = ("password", "passwort", "qwerty", "letmein", "12345678", "redoubt", "bitcoin")


def check_password(password: str, email: str) -> str:
    """Return the password in the form that is hashed (NFC). Raises InputError where it is weak."""
    normal = unicodedata.normalize("NFC", password)
    if len(normal) < MIN_LENGTH:
        raise InputError(f"expected a password of at least {MIN_LENGTH} characters")
    if len(normal) > MAX_LENGTH:
        raise InputError(f"expected a password of at most {MAX_LENGTH} characters")
    if len(set(normal)) < 5:
        raise InputError("expected a password of at least 5 different characters")
    if is_guessable(normal, email):
        raise InputError("expected a password that is not made of your e-mail or an overused word")
    return normal


def is_guessable(password: str, email: str) -> bool:
    """Whether little is left of the password without the words that are tried first."""
    rest = password.lower()
    for word in (email.lower(), email.lower().partition("@")[0], *_OVERUSED):
        if len(word) >= 3:
            rest = rest.replace(word, "")
    return len(rest) < MIN_LENGTH // 2


def check_email(text: str) -> str:
    """Return an e-mail address in lower case. Raises InputError where it cannot be one."""
    email = unicodedata.normalize("NFC", text.strip()).lower()
    name, at, host = email.partition("@")
    plain = all(letter.isprintable() and not letter.isspace() for letter in email)
    if not (name and at and host) or "@" in host or not plain or len(email) > 254:
        raise InputError(f"expected an e-mail address, got {text[:80]!r}")
    return email


def check_name(text: str, what: str = "a name") -> str:
    """Return a name for people. Raises InputError where it is empty, long or not printable."""
    name = unicodedata.normalize("NFC", text.strip())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InputError(f"expected {what} of 1 to 100 printable characters, got {text[:80]!r}")
    return name
