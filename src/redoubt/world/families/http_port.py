"""A small HTTP/1.1 server protocol, shared by the families that have web pages.

It reads GET requests (bodies of others are skipped by closing), keeps connections open when asked,
and lets a subclass answer. Framing follows the firmware: a Content-Length, or chunks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise

import msgspec

from redoubt.world.families.port import MachinePort
from redoubt.world.live import LiveMachine
from redoubt.world.misbehaviour import Misbehaviour, deep_json, deliver

MAX_HEAD_BYTES = 8192
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
}


class Request(msgspec.Struct, frozen=True):
    """A request's head; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    keep_alive: bool

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Response(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class HttpPort(MachinePort, ABC):
    """One connection. Subclasses say who the server is and what it answers."""

    server = ""
    chunked = False

    def __init__(self, live: LiveMachine) -> None:
        super().__init__(live)
        self._received = bytearray()
        self._busy = False
        self._keep_alive = True

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Return the answer to a request."""

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._busy:
            self._next()
        if self._busy and len(self._received) > MAX_HEAD_BYTES and self.transport is not None:
            self.transport.abort()

    def _next(self) -> None:
        self._busy = False
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if not self._keep_alive:
            transport.close()
            return
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                transport.close()
            return
        request = parse_request(bytes(self._received[:end]))
        del self._received[: end + 4]
        self._busy = True
        if request is None or "content-length" in request.headers:
            self._keep_alive = False
        else:
            self._keep_alive = request.keep_alive
        response = Response(400, b"") if request is None else self.respond(request)
        deliver(transport, self._framed(response), self.live.how, self._next)

    def _framed(self, response: Response) -> bytes:
        body = response.body
        how = self.live.how
        if how is Misbehaviour.DEEP:
            body = deep_json()
        head = [
            f"HTTP/1.1 {response.status} {REASONS[response.status]}",
            f"Content-Type: {response.content_type}",
            *(f"{name}: {value}" for name, value in response.headers),
            f"Connection: {'keep-alive' if self._keep_alive else 'close'}",
            f"Server: {self.server}",
        ]
        if how is Misbehaviour.HUGE:
            return _head(head) + b'{"a":['
        if how is Misbehaviour.WRONG_LENGTH:
            head.append(f"Content-Length: {len(body) * 2 + 64}")
            return _head(head) + body
        if self.chunked and response.status == 200:
            head.append("Transfer-Encoding: chunked")
            return _head(head) + _chunks(body)
        head.append(f"Content-Length: {len(body)}")
        return _head(head) + body


def parse_request(head: bytes) -> Request | None:
    """Return the request of a head without its empty line, or None where it is none."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    wish = headers.get("connection", "").lower()
    keep_alive = "close" not in wish and (words[2] == "HTTP/1.1" or "keep-alive" in wish)
    return Request(words[0], words[1], headers, keep_alive)


def _head(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunks(body: bytes, size: int = 4096) -> bytes:
    """CGI output goes out as it comes: the first lines by themselves, then the rest."""
    cuts = [0, *range(min(57, len(body)), len(body), size), len(body)]
    parts = [body[start:end] for start, end in pairwise(cuts) if end > start]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
