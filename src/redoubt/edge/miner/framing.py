"""Where replies end: with NUL or the connection (cgminer), after a length (WhatsMiner), by HTTP."""

from __future__ import annotations

import re

import msgspec

from redoubt.model.errors import RemoteProtocolError, RemoteRefused

_CLOSED = "closed the connection without a reply"
_MOST_HEAD = 8192
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*")


class CgminerFraming:
    """A reply ends in NUL; firmwares that leave it out close the connection."""

    def take(self, received: bytearray, has_ended: bool) -> bytes | None:
        if received and (has_ended or received[-1] == 0):
            return bytes(received)
        if has_ended:
            raise RemoteRefused(_CLOSED)
        return None


class LengthFraming:
    """4 bytes little-endian, then so many of JSON, as WhatsMiner's API 3 speaks both ways."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def take(self, received: bytearray, has_ended: bool) -> bytes | None:
        if len(received) >= 4:
            length = int.from_bytes(received[:4], "little")
            if not 0 < length <= self._max_bytes:
                raise RemoteProtocolError(f"announces a reply of {length} bytes")
            if len(received) >= 4 + length:
                return bytes(received[4 : 4 + length])
        if has_ended:
            if not received:
                raise RemoteRefused(_CLOSED)
            raise RemoteProtocolError(f"reply is cut short after {len(received)} bytes")
        return None


def with_length(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + body


class HttpReply(msgspec.Struct, frozen=True):
    """`headers` by lower-case name; of a repeated one, all values joined by ", "."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpFraming:
    """HTTP/1.1 (RFC 9112): a body by Content-Length, in chunks, or up to the end."""

    def __init__(self) -> None:
        self._head: tuple[int, dict[str, str]] | None = None
        self._body_at = 0
        self._length: int | None = None
        self._is_chunked = False
        self._chunks = bytearray()
        self._chunk_at = 0

    def take(self, received: bytearray, has_ended: bool) -> HttpReply | None:
        if self._head is None:
            self._read_head(received, has_ended)
            if self._head is None:
                return None
        status, headers = self._head
        body = self._body(received, has_ended)
        return None if body is None else HttpReply(status, headers, body)

    def _read_head(self, received: bytearray, has_ended: bool) -> None:
        if not b"HTTP/1.".startswith(bytes(received[:7])):
            raise RemoteProtocolError("does not answer in HTTP")
        end = received.find(b"\r\n\r\n", 0, _MOST_HEAD)
        if end < 0:
            if has_ended and not received:
                raise RemoteRefused(_CLOSED)
            if has_ended or len(received) >= _MOST_HEAD:
                raise RemoteProtocolError("HTTP headers do not end")
            return
        lines = bytes(received[:end]).split(b"\r\n")
        match = _STATUS_LINE.fullmatch(lines[0])
        if match is None:
            raise RemoteProtocolError("does not answer in HTTP")
        headers = _parse_headers(lines[1:])
        self._head = (int(match.group(1)), headers)
        self._body_at = self._chunk_at = end + 4
        self._is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length")
        if length is not None and not self._is_chunked:
            if not (length.isascii() and length.isdigit() and len(length) < 12):
                raise RemoteProtocolError(f"announces a body of {length[:40]!r} bytes")
            self._length = int(length)
        if self._head[0] in (204, 304):
            self._length = 0

    def _body(self, received: bytearray, has_ended: bool) -> bytes | None:
        if self._is_chunked:
            return self._chunked_body(received, has_ended)
        have = len(received) - self._body_at
        if self._length is None:
            return bytes(received[self._body_at :]) if has_ended else None
        if have >= self._length:
            return bytes(received[self._body_at : self._body_at + self._length])
        if has_ended:
            raise RemoteProtocolError(f"body is cut short: {have} of {self._length} bytes")
        return None

    def _chunked_body(self, received: bytearray, has_ended: bool) -> bytes | None:
        while True:
            line_end = received.find(b"\r\n", self._chunk_at, self._chunk_at + 64)
            if line_end < 0:
                if has_ended or len(received) - self._chunk_at >= 64:
                    raise RemoteProtocolError("body is cut short inside a chunk")
                return None
            size = _chunk_size(bytes(received[self._chunk_at : line_end]))
            start = line_end + 2
            if size == 0:
                return bytes(self._chunks)
            if len(received) < start + size + 2:
                if has_ended:
                    raise RemoteProtocolError("body is cut short inside a chunk")
                return None
            self._chunks += received[start : start + size]
            self._chunk_at = start + size + 2


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise RemoteProtocolError("HTTP header without a colon")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.partition(b";")[0].strip(), 16)
    except ValueError as exc:
        raise RemoteProtocolError("chunk without a size") from exc
    if size < 0:
        raise RemoteProtocolError("chunk of negative size")
    return size
