"""The reading API and the live streams over real sockets: shapes, limits, and nothing of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.pages.conftest import Served
from tests.pages.people import sign_in

pytestmark = [pytest.mark.xdist_group("browser")]

PATHS = (
    "/api/v1/sites/north/heatmap",
    "/api/v1/sites/north/series",
    "/api/v1/machines/m-0001",
    "/api/v1/machines/m-0001/series",
    "/sites/north",
    "/machines/m-0001",
    "/live/sites/north",
)


@asynccontextmanager
async def session_of(served: Served, who: str = "operator") -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(served.url, cookie_jar=jar) as session:
        await sign_in(session, who)
        yield session


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as answer:
        assert answer.status == 200, (path, answer.status, await answer.text())
        return await answer.json()


async def test_machines_come_in_list_form(mine: Served) -> None:
    async with session_of(mine) as session:
        answer = await get(session, "/api/v1/machines?limit=50&offset=100")
        assert answer["total"] == 120
        assert len(answer["rows"]) == 20
        assert len(answer["columns"]) <= 20
        assert all(len(row) == len(answer["columns"]) for row in answer["rows"])


async def test_a_series_has_the_points_asked_for(mine: Served) -> None:
    async with session_of(mine) as session:
        answer = await get(session, "/api/v1/machines/m-0003/series?hours=24&points=300")
        assert len(answer["at"]) == 300
        rates = [value for value in answer["columns"]["hashrate_hs"] if value is not None]
        assert len(rates) > 250


async def test_a_machine_carries_sources_and_raw_replies(mine: Served) -> None:
    async with session_of(mine) as session:
        answer = await get(session, "/api/v1/machines/m-0003")
        assert answer["place"]["virtual"]
        assert answer["replies"]["summary"].startswith("{")
        assert {"field", "label", "call", "at", "why"} <= set(answer["sources"][0])


async def test_every_answer_of_the_overview_is_there(mine: Served) -> None:
    async with session_of(mine) as session:
        answer = await get(session, "/api/v1/overview")
        assert answer["totals"]["machines"] == 120
        assert answer["allowance_w"] == 3.6e6
        assert {kind for kind, _ in answer["totals"]["watts"]["kinds"]} <= {
            "measured",
            "claimed",
            "estimated",
        }
        sites = await get(session, "/api/v1/sites")
        assert [site["id"] for site in sites] == ["north"]
        assert len((await get(session, "/api/v1/series"))["at"]) > 250


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/v1/machines?sort=colour", "expected sort to be one of"),
        ("/api/v1/machines?state=asleep", "expected state to be one of"),
        ("/api/v1/machines?limit=0", "limit"),
        ("/api/v1/series?hours=9999", "expected hours between"),
        ("/api/v1/findings?severity=dire", "severity"),
        ("/findings?state=lost", "expected state open, resolved or all"),
    ],
)
async def test_what_cannot_be_used_is_said(mine: Served, path: str, sentence: str) -> None:
    async with session_of(mine) as session, session.get(path) as answer:
        assert answer.status == 400
        assert sentence in await answer.text()


async def test_findings_are_listed_shown_and_acknowledged(mine: Served) -> None:
    async with session_of(mine) as session:
        listed = await get(session, "/api/v1/findings?limit=2")
        assert listed["total"] > 2
        finding = listed["rows"][0]["id"]
        detail = await get(session, f"/api/v1/findings/{finding}")
        assert detail["evidence"][0]["book"] == "machine"
        target = f"/api/v1/findings/{finding}/acknowledge"
        async with session.post(target, json={"note": "x"}) as refused:
            assert refused.status == 403, "a cookie alone must not change anything"


async def test_another_organisation_sees_nothing_of_it(mine: Served) -> None:
    async with session_of(mine) as session:
        finding = (await get(session, "/api/v1/findings?limit=1"))["rows"][0]["id"]
    async with session_of(mine, "other") as session:
        for path in (*PATHS, f"/api/v1/findings/{finding}", f"/findings/{finding}"):
            async with session.get(path) as answer:
                assert answer.status == 404, path
                assert "Bunker" not in await answer.text()
        for path in ("/", "/sites", "/machines", "/findings", "/api/v1/overview",
                     "/api/v1/machines", "/api/v1/findings", "/api/v1/sites"):  # fmt: skip
            async with session.get(path) as answer:
                body = await answer.text()
                assert answer.status == 200, path
                assert "m-0001" not in body, path
                assert "Bunker" not in body, path


async def test_nobody_reads_without_signing_in(mine: Served) -> None:
    async with aiohttp.ClientSession(mine.url) as session:
        for path in (*PATHS, "/api/v1/overview", "/live/ticks", "/about", "/search?q=m-0001"):
            async with session.get(path, allow_redirects=False) as answer:
                assert answer.status == 401, path


async def read_event(stream: aiohttp.StreamReader) -> tuple[str, bytes]:
    """Return name and data of the next event, past heartbeats."""
    name = ""
    async with asyncio.timeout(20):
        while True:
            line = (await stream.readline()).strip()
            if line.startswith(b"event: "):
                name = line[7:].decode()
            elif line.startswith(b"data: "):
                return name, line[6:]
            assert not stream.at_eof(), "the stream ended"


async def test_a_push_holds_only_what_changed(mine: Served) -> None:
    async with session_of(mine) as session:
        heat = await get(session, "/api/v1/sites/north/heatmap")
        query = f"layout={heat['layout']}&version={heat['cells']['version']}"
        async with session.get(f"/live/sites/north?{query}") as stream:
            await asyncio.to_thread(mine.tell, "cell m-0050 hashing 77")
            place = heat["machine"].index("m-0050")
            cells: dict[str, Any] = {}
            for _ in range(5):
                name, data = await read_event(stream.content)
                assert name == "cells"
                cells = msgspec.json.decode(data)
                if cells["i"] == [place]:
                    break
            assert (cells["i"], cells["temp"]) == ([place], [770])


async def test_a_page_with_another_layout_is_told_to_fetch_again(mine: Served) -> None:
    async with session_of(mine) as session:
        for query in ("layout=old&version=0", "layout=&version=999999999"):
            async with session.get(f"/live/sites/north?{query}") as stream:
                assert (await read_event(stream.content))[0] == "layout"


async def test_open_streams_are_bounded(mine: Served) -> None:
    async with session_of(mine, "other") as session:
        opened = [await session.get("/live/ticks") for _ in range(17)]
        try:
            for answer in opened[:16]:
                await answer.content.readline()
            assert opened[16].status in (200, 429)
            extra = await session.get("/live/ticks")
            assert extra.status == 429
            assert "too many live pages" in await extra.text()
        finally:
            for answer in opened:
                answer.close()
