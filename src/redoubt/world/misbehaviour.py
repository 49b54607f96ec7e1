"""The ways in which a machine can misbehave on demand, and how its bytes then leave it.

Some ways change what a machine says (`shown` handles those), the rest how the bytes travel. Each
is something that real machines, or hostile ones, have been seen to do to a poller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

DRIP_SECONDS = 0.25
SLOW_SECONDS = 3.0
HUGE_BYTES = 256 * 1024 * 1024
DEEP_LEVELS = 200_000
_CHUNK = b'"' + b"9" * 65_534 + b","
_FULL_BUFFER = 512 * 1024


class Misbehaviour(StrEnum):
    """hang: accepts, reads, never answers. slow: answers after SLOW_SECONDS. drip: one byte every
    DRIP_SECONDS. truncate: half the reply, then closes. garbage: bytes of no protocol.
    wrong_length: announces another length than it sends. huge: a reply of HUGE_BYTES. deep: JSON
    of DEEP_LEVELS brackets. reset: closes the connection as soon as it is made. refuse: nothing
    listens. stale_clock: says it is 1970. impossible: values that cannot be true. script_names:
    names that would be code in a careless page. no_identity: shows neither serial nor MAC.
    """

    HANG = "hang"
    SLOW = "slow"
    DRIP = "drip"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"
    WRONG_LENGTH = "wrong_length"
    HUGE = "huge"
    DEEP = "deep"
    RESET = "reset"
    REFUSE = "refuse"
    STALE_CLOCK = "stale_clock"
    IMPOSSIBLE = "impossible"
    SCRIPT_NAMES = "script_names"
    NO_IDENTITY = "no_identity"


GARBAGE = bytes((index * 73 + 41) % 256 for index in range(600))


def deep_json() -> bytes:
    """Return JSON that nests DEEP_LEVELS deep."""
    return b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS


def deliver(
    transport: asyncio.Transport,
    reply: bytes,
    how: Misbehaviour | None,
    finish: Callable[[], None],
) -> None:
    """Send a framed reply the way `how` says, then call `finish` (unless it never ends).

    `finish` is the protocol's: it closes the connection or waits for the next request.
    """
    match how:
        case Misbehaviour.HANG:
            return
        case Misbehaviour.SLOW:
            _later(SLOW_SECONDS, transport, lambda: _send(transport, reply, finish))
        case Misbehaviour.DRIP:
            _drip(transport, reply, 0, finish)
        case Misbehaviour.TRUNCATE:
            _send(transport, reply[: len(reply) // 2], transport.close)
        case Misbehaviour.GARBAGE:
            _send(transport, GARBAGE, transport.close)
        case Misbehaviour.HUGE:
            transport.write(reply)
            _flood(transport, HUGE_BYTES)
        case _:
            _send(transport, reply, finish)


def _send(transport: asyncio.Transport, data: bytes, finish: Callable[[], None]) -> None:
    transport.write(data)
    finish()


def _drip(
    transport: asyncio.Transport, reply: bytes, sent: int, finish: Callable[[], None]
) -> None:
    if sent == len(reply):
        finish()
        return
    transport.write(reply[sent : sent + 1])
    _later(DRIP_SECONDS, transport, lambda: _drip(transport, reply, sent + 1, finish))


def _flood(transport: asyncio.Transport, left: int) -> None:
    while left > 0 and transport.get_write_buffer_size() < _FULL_BUFFER:
        transport.write(_CHUNK)
        left -= len(_CHUNK)
    if left > 0:
        _later(0.005, transport, lambda: _flood(transport, left))
    else:
        transport.close()


def _later(seconds: float, transport: asyncio.Transport, act: Callable[[], None]) -> None:
    """Call `act` later, unless the connection is gone by then."""
    asyncio.get_running_loop().call_later(
        seconds, lambda: None if transport.is_closing() else act()
    )
