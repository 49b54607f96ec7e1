"""What the ports of all families share: the connection, and whether it may stay open."""

from __future__ import annotations

import asyncio
from typing import cast

from redoubt.world.live import LiveMachine
from redoubt.world.misbehaviour import Misbehaviour


class MachinePort(asyncio.Protocol):
    """One connection to one machine; a machine that loses power drops all of its connections."""

    def __init__(self, live: LiveMachine) -> None:
        self.live = live
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's in all but name.
        self.transport = cast(asyncio.Transport, transport)
        self.live.connections.add(self.transport)
        if self.live.how is Misbehaviour.RESET:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self.live.connections.discard(self.transport)
