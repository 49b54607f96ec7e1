"""`machine show` and `site scan` as a user calls them, against a virtual mine."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from redoubt.world import World
from tests.site.virtual import PORTS, virtual_world

PORT_OPTIONS = [word for name, port in PORTS.items() for word in ("--port", f"{name}={port}")]


async def redoubt(
    *arguments: str, stdin: str = "", home: Path | None = None
) -> tuple[int | None, str, str]:
    """Run the command; return its exit code, stdout and stderr."""
    environment = os.environ | ({} if home is None else {"XDG_STATE_HOME": str(home)})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "redoubt", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await process.communicate(stdin.encode())
    return process.returncode, out.decode(), err.decode()


def first_address(world: World) -> str:
    return world.machines[0].address


async def test_a_machine_for_people() -> None:
    async with virtual_world("127.86.1.0/29", machines=1, antminer=1) as world:
        code, out, err = await redoubt("machine", "show", first_address(world), *PORT_OPTIONS)
    assert (code, err) == (0, "")
    assert "Bitmain Antminer" in out
    assert "hashing" in out
    assert "(needs a password)" in out
    assert "estimated" in out


async def test_a_machine_for_programs_with_its_password() -> None:
    async with virtual_world("127.86.2.0/29", machines=1, antminer=1) as world:
        password = world.machines[0].password
        code, out, err = await redoubt(
            *("machine", "show", first_address(world), *PORT_OPTIONS),
            *("--json", "--password-file", "-"),
            stdin=f"{password}\n",
        )
        serial = world.machines[0].serial
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    status = json.loads(line)
    assert status["family"] == "antminer"
    assert status["serial"] == serial
    assert status["power_kind"] == "estimated"
    assert status["sources"]["serial"]["call"] == "system_info"


async def test_a_machine_whose_family_is_told() -> None:
    async with virtual_world("127.86.3.0/29", machines=1, whatsminer_v3=1) as world:
        code, out, _ = await redoubt(
            *("machine", "show", first_address(world), *PORT_OPTIONS),
            *("--family", "whatsminer_v3", "--json"),
        )
    assert code == 0
    assert json.loads(out)["make"] == "MicroBT"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("machine", "show", "127.86.4.1", *PORT_OPTIONS), 1, "nothing answers at 127.86.4.1"),
        (("machine", "show", "1.2.3.4"), 2, "not a private address"),
        (("machine", "show", "10.0.0.1", "--family", "toaster"), 2, "expected a machine family"),
        (("machine", "show", "10.0.0.1", "--port", "x=1"), 2, "expected SERVICE=PORT"),
        (("machine", "show", "127.0.0.1", "--password-file", "/nowhere"), 2, "cannot be read"),
        (("machine", "show", "127.0.0.1", "--credentials", "/nowhere"), 2, "does not exist"),
        (("site", "scan", "8.8.8.0/24"), 2, "is not a private network"),
        (("site", "scan", "10.0.0.0/8"), 2, "at most 65536 addresses"),
        (("site", "scan"), 2, "CIDR"),
    ],
)
async def test_calls_that_cannot_be_end_in_a_sentence(
    arguments: tuple[str, ...], code: int, text: str
) -> None:
    exit_code, out, err = await redoubt(*arguments)
    assert exit_code == code
    assert out == ""
    assert text in err
    assert "Traceback" not in err


async def test_a_scan_for_programs_is_logged(tmp_path: Path) -> None:
    async with virtual_world("127.86.5.0/28", machines=6) as world:
        code, out, err = await redoubt(
            "site", "scan", "127.86.5.0/28", *PORT_OPTIONS, "--json", home=tmp_path
        )
        expected = {machine.address: machine.family for machine in world.machines}
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert {status["address"]: status["family"] for status in found} == expected
    assert "6 machines" in err
    log = (tmp_path / "redoubt" / "scans.jsonl").read_text(encoding="utf-8").splitlines()
    began, ended = map(json.loads, log)
    assert (began["event"], began["networks"]) == ("began", ["127.86.5.0/28"])
    assert (ended["event"], ended["found"]) == ("ended", 6)
    assert began["user"]


async def test_a_scan_for_people(tmp_path: Path) -> None:
    async with virtual_world("127.86.6.0/29", machines=1, axeos=1):
        code, out, err = await redoubt(
            *("site", "scan", "127.86.6.0/29", *PORT_OPTIONS, "--log", str(tmp_path / "log"))
        )
    assert code == 0
    heading, row = out.splitlines()
    assert heading.startswith("address")
    assert "Bitaxe" in row
    assert "1 machine at 6 addresses" in err
    assert (tmp_path / "log").exists()
