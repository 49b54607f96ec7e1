"""The sockets of a world: one per service per machine, opened and closed as machines come and go.

Real ports where this process may bind them, else the port + 10,000; one decision per service for
the whole world, so that the map a site needs stays three lines long.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from redoubt.model.errors import InputError
from redoubt.world.families.antminer_port import AntminerPort
from redoubt.world.families.antminer_web import AntminerWeb
from redoubt.world.families.axeos_port import AxeosPort
from redoubt.world.families.whatsminer_port import WhatsminerPort
from redoubt.world.live import LiveMachine
from redoubt.world.models import SERVICES

OFFSET = 10_000
BACKLOG = 64

PORTS_OF: dict[str, Callable[[LiveMachine], asyncio.Protocol]] = {
    "antminer": AntminerPort,
    "antminer.web": AntminerWeb,
    "whatsminer_v3": WhatsminerPort,
    "axeos": AxeosPort,
}


class Listeners:
    """The open sockets. `ports` is which port each service has in this world."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = dict(ports)
        self._open: dict[str, tuple[str, list[asyncio.Server]]] = {}

    async def settle(self, machines: Iterable[LiveMachine]) -> None:
        """Open and close sockets until every machine listens where it should, or not at all."""
        for live in machines:
            wanted = live.address if live.answers else None
            current = self._open.get(live.machine.id)
            if (current[0] if current else None) == wanted:
                continue
            if current:
                self._close(live)
            if wanted:
                await self._listen(live, wanted)

    def close(self, machines: Iterable[LiveMachine]) -> None:
        for live in machines:
            if live.machine.id in self._open:
                self._close(live)

    def __len__(self) -> int:
        return sum(len(servers) for _address, servers in self._open.values())

    async def _listen(self, live: LiveMachine, address: str) -> None:
        loop = asyncio.get_running_loop()
        servers: list[asyncio.Server] = []
        self._open[live.machine.id] = (address, servers)
        for service in SERVICES[live.machine.family]:
            listener = _bind(address, self.ports[service])
            protocol = partial(PORTS_OF[service], live)
            servers.append(await loop.create_server(protocol, sock=listener, backlog=BACKLOG))

    def _close(self, live: LiveMachine) -> None:
        _address, servers = self._open.pop(live.machine.id)
        for server in servers:
            server.close()
        live.drop_connections()


def choose_ports(address: str, chosen: Mapping[str, int]) -> dict[str, int]:
    """Return the port of every service: the chosen one, else the real one, else + 10,000."""
    ports = {}
    for services in SERVICES.values():
        for service, port in services.items():
            ports[service] = chosen.get(service) or _free_port(address, port)
    return ports


def _free_port(address: str, port: int) -> int:
    try:
        _bind(address, port).close()
    except PermissionError:
        return port + OFFSET
    except InputError:
        _bind(address, port + OFFSET).close()
        return port + OFFSET
    return port


def _bind(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((address, port))
    except PermissionError:
        listener.close()
        raise
    except OSError as exc:
        listener.close()
        if exc.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            raise
        raise InputError(
            f"{address}:{port} cannot be listened on ({exc.strerror}); "
            "if another world runs there, choose another --network"
        ) from exc
    return listener
