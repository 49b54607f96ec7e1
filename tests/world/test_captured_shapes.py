"""Where real machines' replies are at hand, ours have every field of theirs, of the same type.

The captured replies are read where they lie; they were not copied, only looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from redoubt.world.families import antminer, axeos, whatsminer
from tests.world.talk import first_of, world_of

OFTEN_ABSENT = {"error-code"}
UNLIKE = {"serinum"}


def captured(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def missing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Return where `ours` lacks what `theirs` has, or has another type."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [path]
        found: list[str] = []
        for key, value in theirs.items():
            where = f"{path}.{key}"
            if key not in ours:
                found.append(where)
            else:
                found += missing(value, ours[key], where)
        return found
    if isinstance(theirs, list) and theirs:
        return missing(theirs[0], ours[0], f"{path}[]") if ours else [path]
    number = (int, float)
    if isinstance(theirs, number) and isinstance(ours, number):
        return []
    return [] if type(theirs) is type(ours) else [path]


async def test_antminer_summary_and_system_info(miner_replies: Path) -> None:
    folder = miner_replies / "antminer" / "v2020"
    async with world_of(10) as world:
        shown = world.live(first_of(world, "antminer").id).shown()
    ours = json.loads(antminer.summary_old(shown))
    assert missing(captured(folder, "summary.json"), ours) == []
    ours = json.loads(antminer.system_info(shown))
    assert missing(captured(folder, "system_info.json"), ours) == []


async def test_whatsminer_device_info_and_status(miner_replies: Path) -> None:
    folder = miner_replies / "whatsminer" / "v3"
    async with world_of(10) as world:
        shown = world.live(first_of(world, "whatsminer_v3").id).shown()
    for name, request in {
        "get_device_info": {"cmd": "get.device.info"},
        "get_miner_status_summary": {"cmd": "get.miner.status", "param": "summary"},
        "get_miner_status_pools": {"cmd": "get.miner.status", "param": "pools"},
        "get_miner_status_edevs": {"cmd": "get.miner.status", "param": "edevs"},
    }.items():
        ours = json.loads(whatsminer.answer(shown, json.dumps(request).encode()))
        assert missing(captured(folder, f"{name}.json"), ours) == [], name


async def test_axeos_system_info(miner_replies: Path) -> None:
    async with world_of(10) as world:
        shown = world.live(first_of(world, "axeos").id).shown()
    theirs = captured(miner_replies / "bitaxe" / "v2_0_0", "system_info.json")
    assert missing(theirs, json.loads(axeos.system_info(shown))) == []
