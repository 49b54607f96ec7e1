"""The agents' port lets in whom a certificate names, believes nothing else, and bounds it all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from cryptography import x509

from redoubt.center.agent_port import MAX_POLLS, AgentPort, Office, serve
from redoubt.edge.agent_link import AgentLink, BatchesRefused, Receipt
from redoubt.edge.batches import Batch, BatchKind, body_digest
from redoubt.edge.inbox import Inbox, InboxFull
from redoubt.edge.keys import AgentIdentity, Authority, new_authority, parse_agent_identity
from redoubt.edge.tls import client_context, server_context
from redoubt.model.errors import RemoteError, RemoteProtocolError, ServiceError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register.snapshot import SignedSnapshot
from tests.faults.papers import AGENT, write_agent, write_center


class Desk:
    """An office whose answers a test can change."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.revoked: set[AgentIdentity] = set()
        self.snapshot: SignedSnapshot | None = None
        self.fault: Exception | None = None
        self.asked: list[tuple[str, str, int]] = []
        self.now = datetime.now(UTC)
        self.port = AgentPort(
            Office(
                accept=self.accept,
                snapshot_after=self.snapshot_after,
                is_revoked=self.is_revoked,
                renew=self.renew,
                clock=lambda: self.now,
                channel_wait_s=0.2,
            )
        )

    async def accept(self, agent: AgentIdentity, batches: list[Batch], now: datetime) -> Receipt:
        if self.fault is not None:
            raise self.fault
        return await self.inbox.accept(agent, batches, now)

    async def snapshot_after(
        self, organisation: OrganisationId, site: SiteId, version: int, timeout_s: float
    ) -> SignedSnapshot | None:
        self.asked.append((organisation, site, version))
        if self.snapshot is None:
            await asyncio.sleep(timeout_s)
        return self.snapshot

    async def is_revoked(self, agent: AgentIdentity) -> bool:
        return agent in self.revoked

    async def renew(self, shown: x509.Certificate, csr_pem: str) -> str | None:
        return None if "no" in csr_pem else f"{parse_agent_identity(shown).uri} {csr_pem}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return write_center(tmp_path)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    inbox = await Inbox.open(tmp_path / "inbox.sqlite")
    yield Desk(inbox)
    await inbox.close()


@asynccontextmanager
async def opened(folder: Path, desk: Desk) -> AsyncIterator[str]:
    context = server_context(folder / "server.crt", folder / "server.key", folder / "ca.crt")
    async with serve(desk.port, context, "127.0.0.1", 0) as number:
        yield f"https://127.0.0.1:{number}"


def papers(folder: Path, authority: Authority, agent: AgentIdentity = AGENT) -> ssl.SSLContext:
    home = folder / agent.agent
    write_agent(home, authority, agent)
    return client_context(home / "ca.crt", home / "agent.crt", home / "agent.key")


@asynccontextmanager
async def linked(folder: Path, desk: Desk, authority: Authority) -> AsyncIterator[AgentLink]:
    async with opened(folder, desk) as url:
        link = AgentLink(url, papers(folder, authority))
        try:
            yield link
        finally:
            await link.close()


def batch(seq: int, body: bytes = b"body") -> Batch:
    return Batch("e1", seq, BatchKind.SAMPLES, 1, body_digest(body), body)


async def test_what_is_acknowledged_is_in_the_inbox_under_the_certificates_name(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        receipt = await link.send([batch(1), batch(2)])
        assert receipt.acked == [("e1", 1), ("e1", 2)]
        receipt = await link.send([batch(2, b"other")])
        assert receipt == Receipt([], [("e1", 2)])
    group = await desk.inbox.open_group(100, 1 << 20)
    assert group is not None
    assert {(b.organisation, b.site, b.agent) for b in group.batches} == {tuple(AGENT)}
    assert desk.port.contacts.let_in == {AGENT: desk.now}


async def test_a_client_without_our_certificate_does_not_get_through_the_handshake(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    stranger = new_authority("stranger", datetime.now(UTC))
    write_agent(tmp_path / "false", stranger)
    async with opened(tmp_path, desk) as url:
        nobody = client_context(tmp_path / "ca.crt")
        forged = client_context(
            tmp_path / "ca.crt", tmp_path / "false" / "agent.crt", tmp_path / "false" / "agent.key"
        )
        for context in (nobody, forged):
            link = AgentLink(url, context)
            with pytest.raises(RemoteError):
                await link.send([batch(1)])
            await link.close()
    assert desk.port.contacts.let_in == {}


async def test_tls_below_1_3_is_refused(tmp_path: Path, desk: Desk, authority: Authority) -> None:
    context = papers(tmp_path, authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with opened(tmp_path, desk) as url:
        link = AgentLink(url, context)
        with pytest.raises(RemoteError):
            await link.send([batch(1)])
        await link.close()


async def test_a_server_certificate_is_no_agents(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    """The center's own papers name no agent, and their usage is another."""
    context = client_context(tmp_path / "ca.crt", tmp_path / "server.crt", tmp_path / "server.key")
    async with opened(tmp_path, desk) as url:
        link = AgentLink(url, context)
        with pytest.raises(RemoteError):
            await link.send([batch(1)])
        await link.close()
    assert (await desk.inbox.state()).batches == 0


async def test_a_revoked_agent_is_turned_away_and_noted(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        await link.send([batch(1)])
        desk.revoked.add(AGENT)
        with pytest.raises(RemoteError, match="revoked"):
            await link.send([batch(2)])
        with pytest.raises(RemoteError, match="revoked"):
            await link.channel(0)
        with pytest.raises(RemoteError, match="revoked"):
            await link.renew("csr")
    assert (await desk.inbox.state()).batches == 1
    assert desk.port.contacts.turned_away[AGENT] == (desk.now, "127.0.0.1")


async def test_a_connection_that_outlives_its_certificate_is_turned_away(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        await link.send([batch(1)])
        desk.now += timedelta(days=8)
        with pytest.raises(RemoteError, match="expired"):
            await link.send([batch(2)])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (InboxFull("the inbox is full"), "center is full"),
        (ServiceError("secret path of the disk"), "cannot take this now"),
    ],
)
async def test_a_full_or_failing_inbox_is_an_answer_that_agents_come_again_after(
    tmp_path: Path, desk: Desk, authority: Authority, fault: Exception, words: str
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        desk.fault = fault
        with pytest.raises(RemoteError, match=words) as caught:
            await link.send([batch(1)])
        assert caught.value.is_transient
        desk.fault = None
        assert (await link.send([batch(1)])).acked == [("e1", 1)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91" * 100_000,
        b"{}",
        msgspec.msgpack.encode([["e", 1, "samples", 1, b"\0" * 32]]),
        msgspec.msgpack.encode([["e", 1, "gossip", 1, b"\0" * 32, b""]]),
        msgspec.msgpack.encode([batch(1), Batch("e", 1, BatchKind.SAMPLES, 1, b"\0" * 32, b"")]),
    ],
)
async def test_a_body_that_is_no_list_of_batches_is_refused_whole(
    tmp_path: Path, desk: Desk, authority: Authority, body: bytes
) -> None:
    async with opened(tmp_path, desk) as url:
        connector = aiohttp.TCPConnector(ssl=papers(tmp_path, authority))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"{url}/agent/v1/batches", data=body) as response,
        ):
            assert response.status == 400
            assert "error" in await response.json()
    assert (await desk.inbox.state()).batches == 0


async def test_a_request_over_32_mb_is_refused(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        with pytest.raises((BatchesRefused, RemoteError)):
            await link.send([batch(seq, bytes(11 << 20)) for seq in range(3)])
    assert (await desk.inbox.state()).batches == 0


async def test_the_channel_brings_the_sites_own_snapshot_or_says_nothing_is_new(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        assert await link.channel(7) is None
        desk.snapshot = SignedSnapshot(b"slice", b"s" * 64)
        news = await link.channel(7)
    assert news is not None
    assert news.snapshot == desk.snapshot
    assert news.at == desk.now
    assert desk.asked == [("acme", "bunker", 7)] * 2


async def test_an_agent_waits_in_two_places_and_the_oldest_makes_room(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    many = 10
    async with opened(tmp_path, desk) as url:
        connector = aiohttp.TCPConnector(ssl=papers(tmp_path, authority), limit=many)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def poll() -> int:
                async with session.get(f"{url}/agent/v1/channel") as response:
                    return response.status

            statuses = await asyncio.gather(*(poll() for _ in range(many)))
            assert sorted(statuses) == [204] * MAX_POLLS + [503] * (many - MAX_POLLS)
            assert await poll() == 204


async def test_a_certificate_is_renewed_for_whom_the_old_one_names(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    async with linked(tmp_path, desk, authority) as link:
        assert await link.renew("csr") == "redoubt:agent/acme/bunker/agent-1 csr"
        with pytest.raises(RemoteError, match="revoked"):
            await link.renew("no")
        with pytest.raises((RemoteProtocolError, RemoteError)):
            await link.renew("x" * 100_000)


async def test_a_port_that_is_taken_is_said_in_a_sentence(
    tmp_path: Path, desk: Desk, authority: Authority
) -> None:
    context = server_context(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "ca.crt")
    async with opened(tmp_path, desk) as url:
        with pytest.raises(ServiceError, match="cannot listen for agents"):
            async with serve(desk.port, context, "127.0.0.1", int(url.rpartition(":")[2])):
                pass
