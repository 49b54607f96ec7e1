"""The shape of a machine driver: calls to make, and fields to take out of their replies.

A driver is a value, not code with sockets. Each call is made once however many fields come out of
its reply, and each field is extracted by itself, so that one bad field never loses the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from redoubt.model.errors import InputError
from redoubt.model.status import MachineState, MachineStatus, Note


class Transport(StrEnum):
    """How a call travels; each has one adapter in `redoubt.edge.miner`."""

    CGMINER = "cgminer"
    """One TCP connection per request; the reply ends when the machine closes (or with NUL)."""
    HTTP = "http"
    WHATSMINER_V3 = "whatsminer_v3"
    """4-byte little-endian length, then JSON, both ways."""


class Auth(StrEnum):
    """What a call needs before the machine answers it."""

    NONE = "none"
    DIGEST = "digest"
    """RFC 7616 HTTP Digest; the nonce is reused until the machine refuses it."""


class Cadence(StrEnum):
    """How often a call is made: `steady` at every poll; `identity` at discovery, after a reboot, on
    a change of address, and hourly."""

    STEADY = "steady"
    IDENTITY = "identity"


class Bounds(msgspec.Struct, frozen=True):
    """The most that a reply may cost, counted from the start of I/O."""

    timeout_s: float = 5.0
    max_bytes: int = 1 << 20


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a machine. `request` is the body that travels (for HTTP: "GET /path").

    `service` names the port it goes to: a key of `Driver.services`.
    """

    name: str
    transport: Transport
    service: str
    request: bytes
    kind: Literal["read", "write"] = "read"
    cadence: Cadence = Cadence.STEADY
    auth: Auth = Auth.NONE
    bounds: Bounds = Bounds()


class Reply(msgspec.Struct, frozen=True):
    """What a machine answered to one call, byte for byte, and when the last byte arrived."""

    body: bytes
    at: datetime


class Failure(msgspec.Struct, frozen=True):
    """Why a call has no reply; stands in the place of a Reply."""

    reason: Literal["needs_auth", "no_reply", "bad_protocol"]
    text: str
    at: datetime


class Endpoint(msgspec.Struct, frozen=True):
    """Where one service of a machine listens."""

    host: str
    port: int


Extractor = Callable[[Any], Any]
"""Takes a decoded reply and returns the field's value, or None where the machine does not say.

It may raise one of EXTRACTOR_ERRORS: the field is then `unparsed`, and only that field.
"""

EXTRACTOR_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def _no_notes(_docs: Mapping[str, Any], _status: MachineStatus) -> tuple[Note, ...]:
    return ()


class Field(msgspec.Struct, frozen=True):
    """A field of MachineStatus and where it may be found, best place first.

    "boards.serial" and the like fill one column of `boards`: their extractors return a mapping from
    board index to value, so that boards can be put together from several replies.
    """

    name: str
    places: tuple[tuple[str, Extractor], ...]


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """One firmware family.

    services: name of each service → its usual port; the first one answers the family's identity.
    probe: the call that a scan makes to learn whether this is the family; needs no password.
    is_family: whether a decoded reply to the probe comes from this family and from no other.
    decode: turns a reply's body into a document; raises ValueError where it cannot.
    state: what the machine is doing, from its decoded replies and the fields found so far.
    check: notes on values that cannot be true together, beside those that every family shares.
    factory_logins: (user, password) as the maker sets them; never tried, only recognised.
    unseen: what has not been seen on a real machine, for the docs.
    """

    family: str
    title: str
    make: str | None
    services: Mapping[str, int]
    calls: tuple[Call, ...]
    probe: str
    is_family: Callable[[Any], bool]
    fields: tuple[Field, ...]
    decode: Callable[[bytes], Any]
    state: Callable[[Mapping[str, Any], MachineStatus], MachineState]
    check: Callable[[Mapping[str, Any], MachineStatus], tuple[Note, ...]] = _no_notes
    factory_logins: tuple[tuple[str, str], ...] = ()
    unseen: tuple[str, ...] = ()

    def call(self, name: str) -> Call:
        """Return the call of that name. Raises InputError where the family has none."""
        for call in self.calls:
            if call.name == name:
                return call
        raise InputError(f"family {self.family!r} has no call {name!r}")
