"""HTTP Digest (RFC 7616), as machines' web servers use it: challenge in, Authorization out.

MD5 and SHA-256, with and without qop="auth". Passwords go into a hash here and nowhere else.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]+))')
_MOST_HEADER = 2048


class Challenge(msgspec.Struct, frozen=True):
    """What a server asks for; the nonce serves until the server calls it stale."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    has_qop: bool


def parse_challenge(header: str) -> Challenge | None:
    """Return the Digest challenge in a WWW-Authenticate header, or None where it has none."""
    scheme, _, rest = header[:_MOST_HEADER].strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    algorithm = given.get("algorithm", "MD5").upper()
    qops = [word.strip().lower() for word in given.get("qop", "").split(",") if word.strip()]
    if not all(value.isascii() and value.isprintable() for value in given.values()):
        # They are sent back as they came: a line break in one would end the header.
        return None
    if "nonce" not in given or algorithm not in _HASHES or (qops and "auth" not in qops):
        return None
    return Challenge(
        realm=given.get("realm", ""),
        nonce=given["nonce"],
        opaque=given.get("opaque"),
        algorithm=algorithm,
        has_qop=bool(qops),
    )


def authorization(
    challenge: Challenge,
    method: str,
    path: str,
    user: str,
    password: str,
    *,
    count: int,
    cnonce: str,
) -> str:
    """Return the Authorization header's value for the `count`-th request with this nonce."""
    digest = _HASHES[challenge.algorithm]
    secret = digest(f"{user}:{challenge.realm}:{password}")
    wanted = digest(f"{method}:{path}")
    parts = [
        f'username="{_quoted(user)}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{path}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.has_qop:
        turn = f"{count:08x}"
        answer = digest(f"{secret}:{challenge.nonce}:{turn}:{cnonce}:auth:{wanted}")
        parts += ["qop=auth", f"nc={turn}", f'cnonce="{cnonce}"']
    else:
        answer = digest(f"{secret}:{challenge.nonce}:{wanted}")
    parts.append(f'response="{answer}"')
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(parts)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_HASHES = {"MD5": _md5, "SHA-256": _sha256}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
