"""One TCP exchange: connect, send a request, read until the framing has a whole reply.

A bare non-blocking socket on the loop's readers and writers: a poll of a thousand machines is some
thousands of these, and streams or transports cost several times as much each.

The deadline runs from the start of I/O. Time in which our own loop was late is given back, because
an answer that waits in our socket buffer is not the machine's fault: libraries that forget this
lose machines under load.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Generic, Protocol, TypeVar

from redoubt.model.errors import (
    RedoubtError,
    RemoteError,
    RemoteProtocolError,
    RemoteRefused,
    RemoteTimeout,
    ServiceError,
)

_CHUNK = 1 << 16
_LATE_S = 0.02
"""A timer that fires later than this shows that the loop was busy."""
_MOST_GRACE = 20.0
"""How many times its timeout an exchange may last in all, however late the loop is."""

_Answer_co = TypeVar("_Answer_co", covariant=True)
_Answer = TypeVar("_Answer")


class Framing(Protocol[_Answer_co]):
    """Where a reply ends."""

    def take(self, received: bytearray, has_ended: bool) -> _Answer_co | None:
        """Return the reply, or None while more must come.

        `has_ended` tells that the machine closed. Raises RemoteError where no reply can come of it.
        """
        ...


class ConnectTimeout(RemoteTimeout):
    """Nothing answered the connection attempt: no host, or one that drops what it does not know."""


class ConnectRefused(RemoteRefused):
    """The host is there and nothing listens on that port."""


class OutOfSockets(ServiceError):
    """This machine has no file descriptor, port or buffer left: try with fewer at once."""


_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


async def exchange(
    host: str,
    port: int,
    request: bytes,
    framing: Framing[_Answer],
    *,
    timeout_s: float,
    max_bytes: int,
) -> _Answer:
    """Return the framed reply to `request`. `host` is a numeric address.

    Raises ConnectTimeout, ConnectRefused, RemoteTimeout, RemoteRefused, RemoteProtocolError for
    what the machine does, and OutOfSockets for what we lack.
    """
    run: _Exchange[_Answer] = _Exchange(request, framing, timeout_s, max_bytes)
    try:
        run.start(host, port)
        return await run.done
    finally:
        run.close()


class _Exchange(Generic[_Answer]):
    def __init__(
        self, request: bytes, framing: Framing[_Answer], timeout_s: float, max_bytes: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._framing = framing
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._received = bytearray()
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._grace_left_s = timeout_s * _MOST_GRACE
        self._is_connected = self._is_writing = self._is_reading = False
        self.done: asyncio.Future[_Answer] = self._loop.create_future()

    def start(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = self._sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            code = sock.connect_ex((host, port))
        except OSError as exc:
            raise _error_of(exc.errno or 0) from exc
        if code not in (0, errno.EINPROGRESS):
            raise _error_of(code)
        self._set_timer(self._timeout_s)
        self._loop.add_writer(sock, self._on_writable)
        self._is_writing = True

    def close(self) -> None:
        sock = self._sock
        if sock is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._is_writing:
            self._loop.remove_writer(sock)
        if self._is_reading:
            self._loop.remove_reader(sock)
        sock.close()
        self._sock = None

    def _on_writable(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            if not self._is_connected:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self._fail(_error_of(code))
                    return
                self._is_connected = True
            sent = sock.send(self._request)
        except BlockingIOError:
            return
        except OSError as exc:
            self._fail(_error_of(exc.errno or 0))
            return
        self._request = self._request[sent:]
        if not self._request:
            self._loop.remove_writer(sock)
            self._is_writing = False
            self._loop.add_reader(sock, self._on_readable)
            self._is_reading = True

    def _on_readable(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            chunk = sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as exc:
            self._fail(_error_of(exc.errno or 0))
            return
        received = self._received
        received += chunk
        if len(received) > self._max_bytes:
            self._fail(RemoteProtocolError(f"reply is over {self._max_bytes} bytes"))
            return
        try:
            answer = self._framing.take(received, not chunk)
        except RemoteError as exc:
            self._fail(exc)
            return
        if answer is not None and not self.done.done():
            self.done.set_result(answer)
        if answer is not None or not chunk:
            self._loop.remove_reader(sock)
            self._is_reading = False

    def _set_timer(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        late_s = self._loop.time() - self._due
        if late_s > _LATE_S and self._grace_left_s > 0:
            grace_s = min(max(late_s, 0.1), self._timeout_s, self._grace_left_s)
            self._grace_left_s -= grace_s
            self._set_timer(grace_s)
            return
        within = f"within {self._timeout_s:g} s"
        if not self._is_connected:
            self._fail(ConnectTimeout(f"no answer to the connection {within}"))
        elif self._received:
            self._fail(RemoteTimeout(f"{len(self._received)} bytes and no whole reply {within}"))
        else:
            self._fail(RemoteTimeout(f"no reply {within}"))

    def _fail(self, error: RedoubtError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _error_of(code: int) -> RedoubtError:
    words = os.strerror(code)
    if code in _OURS:
        return OutOfSockets(f"no socket left for another connection: {words}")
    if code == errno.ECONNREFUSED:
        return ConnectRefused("connection refused")
    if code in (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return ConnectTimeout(words.lower())
    return RemoteRefused(f"connection failed: {words}")
