"""The Antminer's port 4028: one request per connection, a reply that ends in NUL, then closed.

bmminer reads once and answers what it got. We wait for the rest of a request that TCP split, up to
MAX_REQUEST_BYTES, because loopback splits differently from a real network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from redoubt.world.families import antminer
from redoubt.world.families.port import MachinePort
from redoubt.world.live import LiveMachine
from redoubt.world.misbehaviour import Misbehaviour, deep_json, deliver
from redoubt.world.shown import Shown

MAX_REQUEST_BYTES = 8192

OLD: dict[str, Callable[[Shown], bytes]] = {
    "version": antminer.version,
    "stats": antminer.stats_old,
    "summary": antminer.summary_old,
    "pools": antminer.pools_old,
}
NEW: dict[str, Callable[[Shown], bytes]] = {
    "stats": antminer.stats_new,
    "summary": antminer.summary_new,
    "pools": antminer.pools_new,
}
PRIVILEGED = frozenset(
    {"addpool", "ascset", "disablepool", "enablepool", "quit", "removepool", "restart"}
    | {"save", "setconfig", "switchpool"}
)


class AntminerPort(MachinePort):
    def __init__(self, live: LiveMachine) -> None:
        super().__init__(live)
        self._received = b""
        self._answered = False

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        request = _parse_request(self._received)
        if request is not None or _is_whole(self._received):
            self._answer(request)

    def eof_received(self) -> bool:
        """A request cut short is answered too, as an error; the connection then closes."""
        if self._received and not self._answered:
            self._answer(_parse_request(self._received))
        return self._answered and self.live.how is not Misbehaviour.HANG

    def _answer(self, request: dict[str, Any] | None) -> None:
        transport, live = self.transport, self.live
        if transport is None or transport.is_closing():
            return
        self._answered = True
        self._received = b""
        reply = answer(live, request)
        match live.how:
            case Misbehaviour.WRONG_LENGTH:
                framed = reply + b"\0" + reply[: len(reply) // 3]
            case Misbehaviour.DEEP:
                framed = deep_json() + b"\0"
            case Misbehaviour.HUGE:
                framed = b'{"STATUS":['
            case _:
                framed = reply + b"\0"
        deliver(transport, framed, live.how, transport.close)


def answer(live: LiveMachine, request: dict[str, Any] | None) -> bytes:
    """Return the reply to one request, without its NUL; None stands for what is no JSON."""
    if request is None:
        return antminer.error(live.shown(), 23, "Invalid JSON")
    command = request.get("command")
    if not isinstance(command, str):
        return antminer.error(live.shown(), 24, "Missing JSON 'command'")
    newer = "new_api" in live.machine.firmware.quirks and request.get("new_api") is True
    if newer and command in NEW:
        return live.reply(f"{command} new", NEW[command])
    if command in OLD:
        return live.reply(command, OLD[command])
    if command in PRIVILEGED:
        return antminer.error(live.shown(), 45, f"Access denied to '{command}' command")
    return antminer.error(live.shown(), 14, "Invalid command")


def _is_whole(received: bytes) -> bool:
    """Whether nothing more is to come that could make JSON of this."""
    return (
        not received.startswith(b"{")
        or received.endswith((b"\n", b"\0"))
        or len(received) >= MAX_REQUEST_BYTES
    )


def _parse_request(received: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(received.strip(b"\0\r\n "), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
