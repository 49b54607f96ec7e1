"""WhatsMiner's port 4433: four bytes of length, least first, then JSON, both ways; kept open."""

from __future__ import annotations

from redoubt.world.families import whatsminer
from redoubt.world.families.port import MachinePort
from redoubt.world.live import LiveMachine
from redoubt.world.misbehaviour import Misbehaviour, deep_json, deliver
from redoubt.world.shown import Shown

MAX_REQUEST_BYTES = 8192


class WhatsminerPort(MachinePort):
    def __init__(self, live: LiveMachine) -> None:
        super().__init__(live)
        self._received = bytearray()
        self._busy = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._busy:
            self._next()
        if self._busy and len(self._received) > MAX_REQUEST_BYTES and self.transport is not None:
            self.transport.abort()

    def _next(self) -> None:
        self._busy = False
        transport = self.transport
        if transport is None or transport.is_closing() or len(self._received) < 4:
            return
        length = int.from_bytes(self._received[:4], "little")
        if length > MAX_REQUEST_BYTES:
            transport.close()
            return
        if len(self._received) < 4 + length:
            return
        request = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        self._busy = True
        deliver(transport, self._framed(request), self.live.how, self._next)

    def _framed(self, request: bytes) -> bytes:
        live = self.live

        def make(shown: Shown) -> bytes:
            return whatsminer.answer(shown, request)

        body = live.reply(request.decode("latin-1"), make)
        match live.how:
            case Misbehaviour.WRONG_LENGTH:
                return (len(body) * 2).to_bytes(4, "little") + body
            case Misbehaviour.DEEP:
                body = deep_json()
            case Misbehaviour.HUGE:
                return b"\xf0\xff\xff\xff["
        return len(body).to_bytes(4, "little") + body
