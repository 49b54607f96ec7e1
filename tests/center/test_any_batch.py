"""Whatever one organisation sends that its schema allows, the next one's batch arrives, and no
pages, restart or judging stumble over what was kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redoubt.center.agent_port import Contacts
from redoubt.center.app import build_app
from redoubt.center.auth import session_cookie
from redoubt.center.context import Center
from redoubt.center.folder import CenterFolder, make_center
from redoubt.center.judge import GRACE, CenterJudge
from redoubt.center.mover import Mover
from redoubt.center.open import open_center
from redoubt.center.run import shelves_of
from redoubt.edge.batches import Batch, BatchKind, body_digest, encode_findings, encode_samples
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.records.findings import FindingFilter
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register import Organisation
from tests.center.conftest import ACME, BASE_URL, NOW, SETTINGS, ZETA, Clock, add_session, add_user
from tests.center.schema_valid import batches
from tests.faults.polls import finding, poll

HOSTILE = AgentIdentity(ACME, SiteId("bunker"), "agent-1")
HONEST = AgentIdentity(ZETA, SiteId("victim"), "agent-1")
PAGES = ("/", "/findings", "/findings?state=resolved", "/machines", "/sites", "/sites/bunker",
         "/machines/m-1?site=bunker", "/api/v1/machines", "/api/v1/findings", "/api/v1/overview",
         "/api/v1/sites/bunker/heatmap")  # fmt: skip


class Stand:
    """A real center whose mover is driven by hand."""

    def __init__(self, center: Center, clock: Clock) -> None:
        self.center = center
        self.clock = clock
        self.seq = 0
        self.mover = Mover(
            center.inbox, center.telemetry, center.latest, shelves_of(center), center.clock
        )
        self._app = build_app(center)
        self._sessions = {
            organisation: add_session(
                center,
                add_user(center, f"u{organisation}", organisation=organisation),
                organisation,
            )
            for organisation in (ACME, ZETA)
        }

    async def bring(self, agent: AgentIdentity, batch: Batch) -> None:
        await self.center.inbox.accept(agent, [batch], NOW)

    async def arrived(self) -> tuple[int, int]:
        """How many of the honest organisation's rows and findings there are."""
        sql = "SELECT count() AS n FROM samples WHERE organisation = 'zeta'"
        rows = (await self.center.telemetry.query(sql))["n"][0].as_py()
        page = self.center.records.findings.list(ZETA, FindingFilter(is_open=None))
        return int(rows), page.total

    async def look(self, organisation: OrganisationId) -> None:
        """Open every page; none may break."""
        transport = httpx.ASGITransport(app=self._app)  # type: ignore[arg-type]  # httpx and Litestar spell ASGI's types differently
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            client.cookies.set(session_cookie(self.center), self._sessions[organisation])
            for path in PAGES:
                answer = await client.get(path)
                assert answer.status_code in (200, 404), (path, answer.text[:500])


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def stand(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    root: Path = tmp_path_factory.mktemp("any") / "center"
    records = make_center(root, SETTINGS, Organisation(ACME, "Acme"), NOW)
    records.people.add_organisation(Organisation(ZETA, "Zeta"), NOW)
    records.close()
    parts = AsyncExitStack()
    clock = Clock()
    opened = open_center(CenterFolder(root), SETTINGS, clock)
    yield Stand(runner.run(parts.enter_async_context(opened)), clock)
    runner.run(parts.aclose())


@given(data=st.data())
@settings(max_examples=40)
def test_no_batch_of_one_organisation_holds_up_or_breaks_another(
    runner: asyncio.Runner, stand: Stand, data: st.DataObject
) -> None:
    stand.seq += 1
    hostile = data.draw(batches(NOW, stand.seq))
    runner.run(_check(stand, hostile))


async def _check(stand: Stand, hostile: Batch) -> None:
    center, seq = stand.center, stand.seq
    rows, findings = await stand.arrived()
    await stand.bring(HOSTILE, hostile)
    await stand.bring(HONEST, _samples(seq))
    await stand.bring(HONEST, _finding(seq))
    await stand.mover.drain()
    assert (await center.inbox.state()).batches == 0
    assert await stand.arrived() == (rows + 2, findings + 1)
    await stand.look(ACME)
    await stand.look(ZETA)
    center.records.findings.open(ACME)
    list(center.records.details.load(ACME))
    judge = CenterJudge(center, Contacts())
    stand.clock.move(seconds=GRACE.total_seconds())
    await judge.judge_once()
    stand.clock.now = NOW


def _samples(seq: int) -> Batch:
    body = encode_samples(poll(NOW - timedelta(hours=1), seq, 2))
    return Batch("honest", 2 * seq, BatchKind.SAMPLES, 2, body_digest(body), body)


def _finding(seq: int) -> Batch:
    event = finding(NOW - timedelta(hours=1), 0, seq)
    body = encode_findings([event])
    return Batch("honest", 2 * seq + 1, BatchKind.FINDINGS, 1, body_digest(body), body)
