"""The three answers that pages wait for, over a real center and HTTP. Each must reach: 50 ms.

10,000 machines in list form, one machine's 24 h in 300 points, a heat map of 5,000 cells.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import msgspec

from redoubt.center.app import build_app
from redoubt.center.context import Center
from redoubt.center.folder import CenterFolder, make_center
from redoubt.center.open import open_center
from redoubt.center.serve import WebPort
from redoubt.center.settings import Settings
from redoubt.edge.telemetry import SiteRows
from redoubt.model.ids import SiteId
from redoubt.model.register import Organisation
from tests.pages.mine import details_at, history, north, plan_mine, samples_at, samples_table
from tests.pages.people import ORGANISATION, add_people, sign_in

RUNS = 30
LIMIT_MS = 50
QUESTIONS = {
    "10,000 machines in list form": "/api/v1/machines?limit=10000",
    "24 h of one machine in 300 points": "/api/v1/machines/a-0001/series?hours=24&points=300",
    "heat map of 5,000 cells": "/api/v1/sites/north/heatmap",
}


def main() -> None:
    """The center is a process of its own, as it is in life; we are its only reader."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        center = multiprocessing.get_context("spawn").Process(
            target=_run_center, args=(Path(folder) / "center", theirs)
        )
        center.start()
        theirs.close()
        try:
            asyncio.run(_measure(ours.recv()))
        finally:
            ours.close()
            center.join()


def _run_center(folder: Path, theirs: Connection) -> None:
    asyncio.run(_serve(folder, theirs))


async def _serve(folder: Path, theirs: Connection) -> None:
    """Serve until the other end of the pipe is closed."""
    settings = Settings(web_listen="127.0.0.1:0")
    records = make_center(folder, settings, Organisation(ORGANISATION, "Bench"), _now())
    add_people(records, _now())
    records.close()
    web, stop = WebPort(settings.web(), None, None), asyncio.Event()
    async with open_center(CenterFolder(folder), settings) as center:
        await _furnish(center)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(web.serve(build_app(center), stop, center.live.close))
            await web.wait_ready()
            theirs.send(web.listen.url)
            await asyncio.to_thread(theirs.poll, None)
            stop.set()


async def _measure(url: str) -> None:
    # Cookies of an IP address are kept only by a jar that is told so.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar) as session:
        await sign_in(session)
        for name, path in QUESTIONS.items():
            await _ask(session, name, path)


async def _ask(session: aiohttp.ClientSession, name: str, path: str) -> None:
    times_ms, size = [], 0
    for _ in range(RUNS):
        began = time.perf_counter()
        async with session.get(path) as answer:
            size = len(await answer.read())
            assert answer.status == 200, answer.status
        times_ms.append((time.perf_counter() - began) * 1000)
    p95 = statistics.quantiles(times_ms, n=20)[-1]
    print(
        f"{name}: median {statistics.median(times_ms):.1f} ms, p95 {p95:.1f} ms of {RUNS}, "
        f"{size / 1e3:.0f} kB (must reach {LIMIT_MS} ms)"
    )


async def _furnish(center: Center) -> None:
    """Two sites of 5,000 machines; of one machine a day at the cadence of an agent."""
    now = _now()
    sites = (north(), msgspec.structs.replace(north(), id=SiteId("north-2")))
    mines = [plan_mine(site, 5000, seed, prefix="ab"[seed]) for seed, site in enumerate(sites)]
    register = mines[0].register(ORGANISATION, mines[1])
    center.records.register.save(register, "console", now)
    for mine in mines:
        center.latest.apply_details(ORGANISATION, mine.site.id, details_at(mine, now))
        rows = samples_table(samples_at(mine, now))
        center.latest.apply_samples(ORGANISATION, mine.site.id, rows, now)
        await center.telemetry.insert(
            f"now-{mine.site.id}", [SiteRows(ORGANISATION, mine.site.id, rows)]
        )
    few = msgspec.structs.replace(mines[0], machines=mines[0].machines[:40])
    for hour in range(24):
        past = history(ORGANISATION, few, now - timedelta(hours=hour), 1, 15)
        await center.telemetry.insert(f"past-{hour}", [past])


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
