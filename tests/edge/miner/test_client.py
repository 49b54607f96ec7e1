"""Calls over real sockets: what a machine does wrong ends in an error of ours, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import time
from pathlib import Path

import pytest

from redoubt.edge.miner import ConnectRefused, ConnectTimeout, Login, MinerClient
from redoubt.edge.miner.exchange import exchange
from redoubt.edge.miner.framing import CgminerFraming
from redoubt.machines import Auth, Bounds, Call, Endpoint, Transport
from redoubt.model.errors import (
    NeedsAuth,
    RemoteError,
    RemoteProtocolError,
    RemoteRefused,
    RemoteTimeout,
)
from tests.edge.miner.machines import Talk, drip, flood, hang, machine, saying

ALL = (Transport.CGMINER, Transport.HTTP, Transport.WHATSMINER_V3)


def call(transport: Transport, timeout_s: float = 0.4, auth: Auth = Auth.NONE) -> Call:
    request = b"GET /x" if transport is Transport.HTTP else b'{"command":"stats"}'
    bounds = Bounds(timeout_s=timeout_s, max_bytes=4096)
    return Call(
        name="x", transport=transport, service="s", request=request, auth=auth, bounds=bounds
    )


async def ask(transport: Transport, talk: Talk, timeout_s: float = 0.4) -> bytes:
    async with machine(talk) as endpoint:
        return (await MinerClient().ask(call(transport, timeout_s), endpoint)).body


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    ("transport", "parts", "stays"),
    [
        (Transport.CGMINER, (b'{"a"', b":1}\0"), True),
        (Transport.CGMINER, (b'{"a":1}\0',), False),
        (Transport.WHATSMINER_V3, (framed(b'{"a":1}'),), True),
        (
            Transport.WHATSMINER_V3,
            (framed(b'{"a":1}')[:2], framed(b'{"a":1}')[2:6], b'a":1}'),
            True,
        ),
        (Transport.HTTP, (http(b'{"a":1}', "Content-Length: 7"),), True),
        (Transport.HTTP, (http(b'{"a":1} more than told', "Content-Length: 7"),), True),
        (Transport.HTTP, (b"HT", b"TP/1.0 200 OK\r\nX: y\r\n", b'\r\n{"a":1}'), False),
        (
            Transport.HTTP,
            (http(b'4\r\n{"a"\r\n', "Transfer-Encoding: chunked"), b"3;x=y\r\n:1}\r\n0\r\n\r\n"),
            True,
        ),
    ],
)
async def test_whole_replies(transport: Transport, parts: tuple[bytes, ...], stays: bool) -> None:
    body = await ask(transport, saying(*parts, pause_s=0.01, stays=stays))
    assert body.rstrip(b"\0") == b'{"a":1}'


@pytest.mark.parametrize("transport", ALL)
@pytest.mark.parametrize("talk", [hang, drip], ids=["hang", "drip"])
async def test_a_machine_that_never_finishes_costs_its_deadline(
    transport: Transport, talk: Talk
) -> None:
    began = time.monotonic()
    with pytest.raises((RemoteTimeout, RemoteProtocolError)):
        await ask(transport, talk)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("transport", ALL)
async def test_a_flood_is_cut_off(transport: Transport) -> None:
    with pytest.raises(RemoteProtocolError):
        await ask(transport, flood, timeout_s=5)


@pytest.mark.parametrize(
    ("transport", "parts"),
    [
        (Transport.WHATSMINER_V3, (framed(b'{"a":1}')[:-2],)),
        (Transport.WHATSMINER_V3, (b"\xff\xff\xff\xff{}",)),
        (Transport.WHATSMINER_V3, (b"\0\0\0\0",)),
        (Transport.WHATSMINER_V3, (b"\x01",)),
        (Transport.HTTP, (http(b"short", "Content-Length: 70"),)),
        (Transport.HTTP, (http(b"x", "Content-Length: -1"),)),
        (Transport.HTTP, (http(b"x", "Content-Length: 1, 2"),)),
        (Transport.HTTP, (http(b"zz\r\n", "Transfer-Encoding: chunked"),)),
        (Transport.HTTP, (http(b"-5\r\n", "Transfer-Encoding: chunked"),)),
        (Transport.HTTP, (http(b"ff\r\nx", "Transfer-Encoding: chunked"),)),
        (Transport.HTTP, (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",)),
        (Transport.HTTP, (b"HTTP/1.1 200 OK\r\nA: b",)),
        (Transport.HTTP, (b"SSH-2.0-dropbear\r\n",)),
        (Transport.HTTP, (b"HTTP/1.1 two hundred\r\n\r\n",)),
        (Transport.HTTP, (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 600,)),
    ],
)
async def test_lies_about_length_and_other_protocols(
    transport: Transport, parts: tuple[bytes, ...]
) -> None:
    with pytest.raises(RemoteProtocolError):
        await ask(transport, saying(*parts))


@pytest.mark.parametrize("transport", ALL)
async def test_a_connection_closed_without_a_word(transport: Transport) -> None:
    with pytest.raises(RemoteRefused):
        await ask(transport, saying())


async def test_other_http_answers_than_200() -> None:
    with pytest.raises(RemoteRefused, match="HTTP 404"):
        await ask(Transport.HTTP, saying(http(b"", status="404 Not Found")))


async def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConnectRefused):
            await MinerClient().ask(call(Transport.CGMINER), endpoint)


async def test_nobody_answers_the_connection() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        crowd = []
        for _ in range(8):  # once the queue is full, Linux drops what comes
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(address)
            crowd.append(each)
        try:
            with pytest.raises(ConnectTimeout):
                await MinerClient().ask(call(Transport.CGMINER), Endpoint(*address))
        finally:
            for each in crowd:
                each.close()


async def test_waiting_for_a_turn_costs_no_deadline() -> None:
    """Ten calls of 0.1 s through one slot take a second; each has a deadline of 0.4 s."""
    client = MinerClient(connections=1)
    async with machine(saying(b"", b"{}\0", pause_s=0.1)) as endpoint:
        replies = await asyncio.gather(
            *(client.ask(call(Transport.CGMINER), endpoint) for _ in range(10))
        )
    assert [reply.body for reply in replies] == [b"{}\0"] * 10


async def test_a_busy_loop_of_our_own_is_not_the_machines_fault() -> None:
    async with machine(saying(b"{}\0")) as endpoint:

        async def hog() -> None:
            await asyncio.sleep(0.01)
            time.sleep(1.0)  # noqa: ASYNC251 - the loop is meant to stand still

        reply, _ = await asyncio.gather(
            MinerClient().ask(call(Transport.CGMINER, timeout_s=0.3), endpoint), hog()
        )
    assert reply.body == b"{}\0"


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_descriptor_is_left_open() -> None:
    async def round_of_calls() -> None:
        for talk in (saying(b"{}\0"), saying(), drip, flood):
            async with machine(talk) as endpoint:
                with contextlib.suppress(RemoteError):
                    await MinerClient().ask(call(Transport.CGMINER, 0.1), endpoint)
                await asyncio.sleep(0.1)

    await round_of_calls()
    before = open_files()
    await round_of_calls()
    assert open_files() <= before


async def test_a_call_that_is_given_up_closes_its_socket() -> None:
    async with machine(hang) as endpoint:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await exchange(
                    endpoint.host,
                    endpoint.port,
                    b"x",
                    CgminerFraming(),
                    timeout_s=9,
                    max_bytes=100,
                )


class DigestSide:
    """A web side that wants Digest and counts what it is asked."""

    def __init__(self, *, stale_after: int = 1000, accepts: bool = True) -> None:
        self.asked: list[str] = []
        self.nonce = 0
        self._stale_after = stale_after
        self._accepts = accepts

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        line = next((li for li in request.splitlines() if li.startswith("Authorization:")), "")
        self.asked.append(line)
        fresh = f'nonce="n{self.nonce}"' in line
        uses = sum(f'"n{self.nonce}"' in each for each in self.asked)
        if fresh and self._accepts and uses <= self._stale_after:
            writer.write(http(b"{}", "Content-Length: 2"))
            return
        self.nonce += 1
        wants = f'WWW-Authenticate: Digest realm="antMiner Configuration", nonce="n{self.nonce}"'
        writer.write(http(b"", wants + ', qop="auth"', "Content-Length: 0", status="401 No"))


async def test_a_digest_nonce_is_reused() -> None:
    side, client = DigestSide(), MinerClient()
    async with machine(side) as endpoint:
        for _ in range(3):
            await client.ask(call(Transport.HTTP, auth=Auth.DIGEST), endpoint, Login("root", "r"))
    assert len(side.asked) == 4
    assert [f"nc=0000000{turn}" in line for turn, line in enumerate(side.asked)][1:] == [True] * 3


async def test_a_stale_nonce_is_replaced_once() -> None:
    side, client = DigestSide(stale_after=1), MinerClient()
    async with machine(side) as endpoint:
        for _ in range(3):
            await client.ask(call(Transport.HTTP, auth=Auth.DIGEST), endpoint, Login("root", "r"))
    assert len(side.asked) == 6


async def test_a_wrong_password_is_asked_twice_and_no_more() -> None:
    side = DigestSide(accepts=False)
    async with machine(side) as endpoint:
        with pytest.raises(NeedsAuth, match="antMiner Configuration"):
            await MinerClient().ask(
                call(Transport.HTTP, auth=Auth.DIGEST), endpoint, Login("root", "wrong")
            )
    assert len(side.asked) == 2
    assert not any("wrong" in line for line in side.asked)


async def test_without_a_password_nothing_is_sent() -> None:
    side = DigestSide()
    async with machine(side) as endpoint:
        with pytest.raises(NeedsAuth, match="no password was given"):
            await MinerClient().ask(call(Transport.HTTP, auth=Auth.DIGEST), endpoint)
    assert side.asked == []


def test_a_login_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(Login("root", "hunter2"))


async def test_a_lack_of_sockets_of_ours_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with machine(saying(b"{}\0")) as endpoint:
        asyncio.get_running_loop().call_later(
            0.3, resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard)
        )
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))
        try:
            reply = await MinerClient().ask(call(Transport.CGMINER, 3), endpoint)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert reply.body == b"{}\0"
    assert len([record for record in caplog.records if "no socket left" in record.message]) == 1
