"""The agent's way to its center: batches out, register in, certificates renewed.

All of it travels over connections that the agent opens, by TLS 1.3 with its client certificate;
nobody connects to a site. The center's side is `redoubt.center.agent_port`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from redoubt.edge.batches import Batch
from redoubt.model.errors import (
    RemoteError,
    RemoteProtocolError,
    RemoteRefused,
    RemoteTimeout,
)
from redoubt.model.register.snapshot import MAX_SNAPSHOT_BYTES, SignedSnapshot

BATCHES_PATH = "/agent/v1/batches"
CHANNEL_PATH = "/agent/v1/channel"
RENEW_PATH = "/agent/v1/renew"
MAX_REQUEST_BYTES = 32 * 1024 * 1024
CHANNEL_WAIT_S = 25.0
"""How long the center holds a request on the channel open before it says that nothing is new."""

_MAX_REPLY_BYTES = 4 * 1024 * 1024
_CONNECT_S = 10.0
_SEND_S = 60.0


class Receipt(msgspec.Struct, frozen=True):
    """What became of the batches of one request, by (epoch, seq).

    acked: durably the center's now. conflicts: the center holds another batch under that key.
    """

    acked: list[tuple[str, int]] = []
    conflicts: list[tuple[str, int]] = []


class ChannelReply(msgspec.Struct, frozen=True, kw_only=True):
    """News for a site, as MessagePack. `snapshot` is None where the site's own is the newest."""

    snapshot: SignedSnapshot | None = None
    settings: dict[str, Any] | None = None
    at: datetime


class BatchesRefused(RemoteProtocolError):
    """The center cannot read what was sent: sending the same again cannot help."""

    is_transient = False


class AgentLink:
    """One agent's connections. Every method raises a RemoteError where the center is not reached,
    is busy or full, or says something that it should not."""

    def __init__(self, base_url: str, context: ssl.SSLContext) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = _new_session(context)

    async def send(self, batches: Sequence[Batch]) -> Receipt:
        """Bring batches to the center's inbox; what is acked there is safe.

        Raises BatchesRefused where the center cannot read them.
        """
        body = msgspec.msgpack.encode(batches)
        async with self._request("POST", BATCHES_PATH, _SEND_S, data=body) as response:
            answer = await read_bounded(response, _MAX_REPLY_BYTES)
            if response.status in (400, 413, 422):
                raise BatchesRefused(f"center refuses batches: {_said(answer)}")
            _check(response, answer)
        return _decode(answer, Receipt)

    async def channel(self, version: int, wait_s: float = CHANNEL_WAIT_S) -> ChannelReply | None:
        """Wait for news; `version` is that of the register at hand. None where nothing is new."""
        query = {"register": str(version)}
        timeout_s = wait_s + _CONNECT_S
        async with self._request("GET", CHANNEL_PATH, timeout_s, params=query) as response:
            answer = await read_bounded(response, MAX_SNAPSHOT_BYTES + _MAX_REPLY_BYTES)
            _check(response, answer)
        if response.status == 204:
            return None
        try:
            return msgspec.msgpack.decode(answer, type=ChannelReply)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise RemoteProtocolError(f"center's news cannot be read: {exc}") from exc

    async def renew(self, csr_pem: str) -> str:
        """Return a new certificate (PEM) for this agent."""
        async with self._request("POST", RENEW_PATH, _SEND_S, data=csr_pem.encode()) as response:
            answer = await read_bounded(response, _MAX_REPLY_BYTES)
            _check(response, answer)
        return answer.decode("utf-8", "replace")

    async def use(self, context: ssl.SSLContext) -> None:
        """Show another certificate from now on; requests under way end as broken links do."""
        old, self._session = self._session, _new_session(context)
        await old.close()

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, timeout_s: float, **arguments: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with_deadline = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        async with (
            translated(),
            self._session.request(
                method,
                self._base_url + path,
                timeout=with_deadline,
                allow_redirects=False,
                **arguments,
            ) as response,
        ):
            yield response


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn what aiohttp raises about a connection into ours."""
    try:
        yield
    except TimeoutError as exc:
        raise RemoteTimeout("center does not answer in time") from exc
    except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as exc:
        raise RemoteRefused(f"center cannot be reached: {str(exc) or type(exc).__name__}") from exc


def _new_session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=4), trust_env=False
    )


async def read_bounded(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return a response's body. Raises RemoteProtocolError where it is over `most_bytes`."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most_bytes:
            raise RemoteProtocolError(f"center answers more than {most_bytes} bytes")
    return bytes(body)


def _check(response: aiohttp.ClientResponse, answer: bytes) -> None:
    if response.status == 507:
        raise RemoteRefused("center is full and takes no more for now")
    if response.status not in (200, 204):
        raise RemoteError(f"center answers {response.status}: {_said(answer)}")


def _said(answer: bytes) -> str:
    """Return the center's own words about an error, bounded."""
    return repr(answer[:300].decode("utf-8", "replace"))


def _decode(answer: bytes, shape: type[Receipt]) -> Receipt:
    try:
        return msgspec.json.decode(answer, type=shape)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"center's answer cannot be read: {exc}") from exc
