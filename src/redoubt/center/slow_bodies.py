"""Requests whose body does not come: without an end to them anybody could hold all connections."""

from __future__ import annotations

import asyncio

from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

PATIENCE_S = 15.0
SLOWEST_BYTES_PER_S = 64 * 1024
"""A large body may take longer than PATIENCE_S by what it needs at this rate."""


class SlowBodyError(HTTPException):
    """The body did not come in time."""

    status_code = 408


class BodyDeadline:
    """ASGI middleware that ends requests whose body drips, with 408."""

    def __init__(self, app: ASGIApp, patience_s: float = PATIENCE_S) -> None:
        self._app = app
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a `receive` that has a deadline until the body is there."""
        body = _Body(receive, self._patience_s)
        await self._app(scope, body.receive, send)


class _Body:
    def __init__(self, receive: Receive, patience_s: float) -> None:
        self._receive = receive
        self._patience_s = patience_s
        self._ends_at: float | None = None
        self._is_whole = False

    async def receive(self) -> ReceiveMessage:
        """Raises SlowBodyError where the deadline has passed."""
        if self._is_whole:
            # What comes now is that the other side has gone, and a live stream waits long for it.
            return await self._receive()
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self._patience_s
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            raise SlowBodyError("the request did not come in time") from None
        if message["type"] == "http.request":
            self._ends_at += len(message["body"]) / SLOWEST_BYTES_PER_S
            self._is_whole = not message.get("more_body", False)
        return message
