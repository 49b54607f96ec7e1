"""The web port: Litestar served by granian inside our own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server
from litestar import Litestar

from redoubt.center.settings import Listen
from redoubt.model.errors import InputError, ServiceError

BACKLOG = 1024
MAX_CONNECTIONS = 4096
"""Connections at the same time. BodyDeadline ends those whose body drips."""
HEADERS_S = 30.0
"""How long a connection may be without a whole request: a new one, and one that is kept alive."""
MAX_HEADER_BYTES = 64 * 1024
START_S = 15.0
STOP_S = 5.0
"""How long open requests (live streams above all) may go on once the center stops."""


class WebPort:
    """A port that is taken at once, so that its number is known, and served by `serve`."""

    def __init__(self, listen: Listen, certificate: Path | None, key: Path | None) -> None:
        """Raises InputError where the port is taken or not ours to have."""
        if listen.tls and (certificate is None or key is None):
            raise InputError(f"{listen.netloc} needs a certificate and its key")
        self._certificate = certificate if listen.tls else None
        self._key = key if listen.tls else None
        self._reserved = _reserve(listen)
        self.listen = Listen(listen.host, self._reserved.getsockname()[1], listen.tls)

    async def serve(
        self,
        app: Litestar,
        stop: asyncio.Event,
        before_stop: Callable[[], None],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """Serve until `stop` or cancelled; requests that are open then may go on for STOP_S.

        Connections beyond `max_connections` wait until others have closed.

        `before_stop` ends what would never end by itself: live streams. Raises ServiceError where
        the server ends without being told to.
        """
        server = Server(
            app,
            address=self.listen.host,
            port=self.listen.port,
            interface=Interfaces.ASGI,
            websockets=False,
            log_enabled=False,
            # HEADERS_S holds for HTTP/1.1 alone: where it may be HTTP/2, granian waits without end
            # for the first bytes. Browsers speak that by TLS only, and it is worth it to them: more
            # than six live pages at a time.
            http=HTTPModes.auto if self.listen.tls else HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=round(HEADERS_S * 1000)),
            http2_settings=HTTP2Settings(max_headers_size=MAX_HEADER_BYTES),
            backlog=BACKLOG,
            backpressure=max_connections,
            ssl_cert=self._certificate,
            ssl_key=self._key,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(server.serve(), name="web port")
                stopping = tasks.create_task(stop.wait())
                try:
                    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
                    if not stop.is_set():
                        raise ServiceError("the web server ended by itself")
                finally:
                    before_stop()
                    server.stop()  # type: ignore[no-untyped-call]  # granian's, unannotated
                    await asyncio.wait([serving], timeout=STOP_S)
                    serving.cancel()
                    stopping.cancel()
        finally:
            self._reserved.close()

    async def wait_ready(self) -> None:
        """Return once connections are taken. Raises ServiceError where that does not happen."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + START_S
        # granian has no sign of its own that it listens.
        while not await _answers(self.listen):
            if loop.time() > give_up_at:
                raise ServiceError(f"the web port {self.listen.netloc} did not open")
            await asyncio.sleep(0.02)


def _reserve(listen: Listen) -> socket.socket:
    """Bind the port without listening, and keep it.

    granian shares its port with whoever sets SO_REUSEPORT, so that two centers on one port would
    both run and answer by turns. A bind without that option tells whether it is free; the second
    bind keeps the number until granian listens.
    """
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            port = probe.getsockname()[1]
        kept = socket.socket(family, kind, protocol)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((address[0], port, *address[2:]))
    except OSError as exc:
        raise InputError(
            f"cannot listen at {listen.netloc}: {exc.strerror or exc}; "
            "name another port with --web-listen"
        ) from exc
    return kept


async def _answers(listen: Listen) -> bool:
    try:
        _, writer = await asyncio.open_connection(listen.host, listen.port)
    except OSError:
        return False
    writer.close()
    return True
