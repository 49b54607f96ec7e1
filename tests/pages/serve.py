"""Serve the pages over a small mine: `python -m tests.pages.serve DIR KIND`, for tests and eyes.

A process of its own, because a process can open only one telemetry store. Prints the URL as its
first line; then takes commands, one a line, and answers each with "ok":

    cell MACHINE STATE TEMP     one machine's newest sample
    quit

KIND is one of mine (one site), dark (one live site and one that fell silent), empty (nothing yet),
hostile (names that would do harm), large (5,000 machines), moving (mine, with changes each second).
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from redoubt.center.app import build_app
from redoubt.center.context import Center
from redoubt.center.folder import CenterFolder, make_center
from redoubt.center.open import open_center
from redoubt.center.serve import WebPort
from redoubt.center.settings import Settings
from redoubt.edge.telemetry import SiteRows
from redoubt.model.register import Organisation
from redoubt.model.sample import Sample
from redoubt.model.status import MachineState
from tests.pages import hostile
from tests.pages.mine import (
    Mine,
    details_at,
    findings_of,
    history,
    north,
    plan_mine,
    samples_at,
    samples_table,
    south,
)
from tests.pages.people import ORGANISATION, add_people

Told = dict[str, tuple[MachineState, float]]
SIZES = {"mine": 120, "moving": 1000, "dark": 120, "large": 5000}


async def main(folder: Path, kind: str) -> None:
    settings = Settings(web_listen="127.0.0.1:0")
    records = make_center(folder, settings, Organisation(ORGANISATION, "Acme"), _now())
    add_people(records, _now())
    records.close()
    web = WebPort(settings.web(), None, None)
    stop = asyncio.Event()
    told: Told = {}
    async with open_center(CenterFolder(folder), settings) as center:
        mines = await _furnish(center, kind)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(web.serve(build_app(center), stop, center.live.close))]
            await web.wait_ready()
            _say(web.listen.url)
            if kind == "moving":
                running.append(tasks.create_task(_move(center, mines[0])))
            if kind != "dark" and mines:
                running.append(tasks.create_task(_keep_fresh(center, mines[0], told)))
            await _obey(center, mines, told)
            stop.set()
            for task in running[1:]:
                task.cancel()


async def _furnish(center: Center, kind: str) -> list[Mine]:
    now = _now()
    if kind == "empty":
        return []
    mines = [hostile.plan() if kind == "hostile" else plan_mine(north(), SIZES[kind])]
    if kind == "dark":
        mines.append(plan_mine(south(), 60, seed=2, prefix="s"))
    register = mines[0].register(ORGANISATION, *mines[1:])
    center.records.register.save(register, "console", now)
    for number, mine in enumerate(mines):
        end = now - timedelta(minutes=47) if number == 1 else now
        site = mine.site.id
        details = hostile.details(mine, end) if kind == "hostile" else details_at(mine, end)
        center.latest.apply_details(ORGANISATION, site, details)
        rows = samples_table(samples_at(mine, end))
        await center.telemetry.insert(f"now-{site}", [SiteRows(ORGANISATION, site, rows)])
        step_s = 3600 if kind in ("large", "hostile") else 240
        past = history(ORGANISATION, mine, end, 24, step_s)
        await center.telemetry.insert(f"past-{site}", [past])
        center.latest.apply_samples(ORGANISATION, site, rows, now)
        events = hostile.findings(mine, now) if kind == "hostile" else findings_of(mine, now)
        center.records.findings.apply_events(ORGANISATION, site, events)
    return mines


async def _keep_fresh(center: Center, mine: Mine, told: Told) -> None:
    """Sweep every 15 s, as an agent does; what we were told of a machine stays so."""
    while True:
        await asyncio.sleep(15)
        now = _now()
        rows = samples_table([_as_told(sample, told) for sample in samples_at(mine, now)])
        center.latest.apply_samples(ORGANISATION, mine.site.id, rows, now)


async def _move(center: Center, mine: Mine) -> None:
    while True:
        await asyncio.sleep(1)
        now = _now()
        rows = samples_table(samples_at(mine, now)[::7])
        center.latest.apply_samples(ORGANISATION, mine.site.id, rows, now)


async def _obey(center: Center, mines: list[Mine], told: Told) -> None:
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        match line.split():
            case ["cell", machine, state, temp]:
                now = _now()
                told[machine] = (MachineState(state), float(temp))
                sample = next(s for s in samples_at(mines[0], now) if s.machine == machine)
                changed = msgspec.structs.replace(_as_told(sample, told), at=now)
                rows = samples_table([changed])
                center.latest.apply_samples(ORGANISATION, mines[0].site.id, rows, now)
                _say("ok")
            case [] | ["quit"]:
                return
            case _:
                _say("unknown command")


def _as_told(sample: Sample, told: Told) -> Sample:
    if sample.machine not in told:
        return sample
    state, temp_c = told[sample.machine]
    return msgspec.structs.replace(sample, state=state, temp_chip_max_c=temp_c)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
