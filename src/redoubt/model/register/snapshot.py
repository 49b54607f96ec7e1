"""The signed snapshot of a site's slice of the register.

Signed bytes are `b"redoubt/register/v1\\n"` followed by the slice as JSON exactly as it travels:
what is verified is what is parsed, so no canonical form has to be agreed. The signature is
Ed25519 (RFC 8032) by the key that the site pinned when it enrolled.
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from redoubt.model.errors import RemoteProtocolError
from redoubt.model.register import RegisterSlice

MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
_DOMAIN = b"redoubt/register/v1\n"
_SLICES = msgspec.json.Decoder(RegisterSlice)


class SignedSnapshot(msgspec.Struct, frozen=True):
    """`body` is the slice as JSON; `signature` is 64 bytes over the domain line and `body`."""

    body: bytes
    signature: bytes


def sign_snapshot(register_slice: RegisterSlice, key: Ed25519PrivateKey) -> SignedSnapshot:
    """Return the slice as it travels to its site."""
    body = msgspec.json.encode(register_slice)
    return SignedSnapshot(body, key.sign(_DOMAIN + body))


def open_snapshot(snapshot: SignedSnapshot, pinned_key: Ed25519PublicKey) -> RegisterSlice:
    """Return the slice of a snapshot whose signature holds.

    Raises RemoteProtocolError where it is too large, not signed by the pinned key, or not a slice.
    """
    if len(snapshot.body) > MAX_SNAPSHOT_BYTES:
        raise RemoteProtocolError(f"register snapshot is over {MAX_SNAPSHOT_BYTES} bytes")
    try:
        pinned_key.verify(snapshot.signature, _DOMAIN + snapshot.body)
    except InvalidSignature as exc:
        raise RemoteProtocolError(
            "register snapshot is not signed by the center that this site enrolled with"
        ) from exc
    try:
        return _SLICES.decode(snapshot.body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"signed register snapshot cannot be read: {exc}") from exc
