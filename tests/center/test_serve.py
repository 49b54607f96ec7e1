"""The web port stays open to others while somebody holds many connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from litestar import Litestar, Request, get, post
from litestar.middleware import DefineMiddleware

from redoubt.center import serve
from redoubt.center.errors import on_http_error
from redoubt.center.serve import WebPort
from redoubt.center.settings import Listen
from redoubt.center.slow_bodies import SLOWEST_BYTES_PER_S, BodyDeadline, SlowBodyError

PATIENCE_S = 0.4
MANY = 300


@get("/quick", sync_to_thread=False)
def quick() -> str:
    return "here"


@get("/slow")
async def slow() -> str:
    await asyncio.sleep(3 * PATIENCE_S)
    return "at last"


@post("/take", status_code=200)
async def take(request: Request[Any, Any, Any]) -> str:
    return str(len(await request.body()))


@asynccontextmanager
async def opened(patience_s: float = PATIENCE_S) -> AsyncIterator[int]:
    app = Litestar(
        [quick, slow, take],
        middleware=[DefineMiddleware(BodyDeadline, patience_s=patience_s)],
        exception_handlers={SlowBodyError: on_http_error},
        openapi_config=None,
        logging_config=None,
    )
    port, stop = WebPort(Listen("127.0.0.1", 0, tls=False), None, None), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(port.serve(app, stop, lambda: None))
        await port.wait_ready()
        try:
            yield port.listen.port
        finally:
            stop.set()


async def begin(port: int, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n".encode())
    await writer.drain()
    return reader, writer


async def fetch(port: int) -> bytes:
    reader, writer = await begin(port, "GET /quick")
    writer.write(b"Connection: close\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_many_bodies_that_do_not_come_leave_the_port_to_others() -> None:
    async with opened(patience_s=60) as port:
        held = [await begin(port, "POST /take") for _ in range(MANY)]
        for _, writer in held:
            writer.write(b"Content-Length: 6000\r\n\r\n{")
        for _ in range(3):
            assert (await fetch(port)).endswith(b"here")
        for _, writer in held:
            writer.close()


async def test_a_body_that_drips_is_answered_and_its_connection_closed() -> None:
    async with opened() as port:
        reader, writer = await begin(port, "POST /take")
        writer.write(b"Content-Length: 6000\r\n\r\n")

        async def drip() -> None:
            with suppress(ConnectionError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            dripping = tasks.create_task(drip())
            async with asyncio.timeout(10):
                answer = await reader.read()
            dripping.cancel()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b"did not come in time" in answer


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost", b"PRI * HT"])
async def test_a_connection_without_a_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(serve, "HEADERS_S", PATIENCE_S)
    async with opened() as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert not (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_an_answer_that_takes_its_time_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "HEADERS_S", PATIENCE_S)
    async with opened() as port, asyncio.timeout(10):
        reader, writer = await begin(port, "GET /slow")
        writer.write(b"Connection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"at last")
        writer.close()


async def test_a_large_body_has_the_time_that_its_size_takes() -> None:
    async with opened() as port:
        reader, writer = await begin(port, "POST /take")
        part = bytes(SLOWEST_BYTES_PER_S // 4)
        writer.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (len(part) * 4))
        for _ in range(4):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        assert answer.endswith(str(len(part) * 4).encode()), answer


async def test_waiting_for_the_other_side_to_go_has_no_deadline() -> None:
    """A live stream does it for as long as it is open."""
    sent = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():  # type: ignore[no-untyped-def]  # ASGI's message types
        message = next(sent, None)
        if message is None:
            await asyncio.sleep(PATIENCE_S)
            return {"type": "http.disconnect"}
        return message

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    quick_to_end: Any = BodyDeadline(app, patience_s=PATIENCE_S / 4)
    await quick_to_end({"type": "http"}, receive, None)
