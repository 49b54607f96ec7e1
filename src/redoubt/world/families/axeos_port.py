"""AxeOS's web server: an ESP32 that has a handful of sockets and serves them one after another.

With ESP32_SOCKETS connections open, up to ESP32_BACKLOG more wait unanswered until one closes, as
lwIP's listen backlog makes them; further ones are reset.
"""

from __future__ import annotations

import asyncio

from redoubt.world.families import axeos
from redoubt.world.families.http_port import HttpPort, Request, Response
from redoubt.world.live import ESP32_BACKLOG, ESP32_SOCKETS, LiveMachine

PAGES = {
    "/api/system/info": axeos.system_info,
    "/api/system/asic": axeos.asic_info,
}


class AxeosPort(HttpPort):
    server = "esp-httpd"

    def __init__(self, live: LiveMachine) -> None:
        super().__init__(live)
        self._admitted = False
        self._busy = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is None or self.transport.is_closing():
            return
        if self.live.open_sockets < ESP32_SOCKETS:
            self._admit()
        elif len(self.live.waiting) < ESP32_BACKLOG:
            self.live.waiting.append(self._admit)
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        live = self.live
        if not self._admitted:
            if self._admit in live.waiting:
                live.waiting.remove(self._admit)
            return
        live.open_sockets -= 1
        if live.waiting:
            live.waiting.popleft()()

    def respond(self, request: Request) -> Response:
        page = PAGES.get(request.path)
        if page is None:
            return Response(404, b"Not found", "text/plain")
        if request.method != "GET":
            return Response(405, b"Specified method is invalid for this resource", "text/html")
        return Response(200, self.live.reply(request.path, page))

    def _admit(self) -> None:
        """Begin to serve: until now nothing that came was looked at, as if it were not accepted."""
        self._admitted = True
        self.live.open_sockets += 1
        self._next()
