"""The virtual world as the benches use it: a process of its own, ended with them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PATIENCE_S = 120


@contextlib.contextmanager
def virtual_world(
    machines: int, network: str, *options: str, cores: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Run so many virtual machines and give the map of where they are.

    `cores` are those the world may run on, so that what is measured has others.
    """
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as folder:
        where = Path(folder) / "map.json"
        command = [
            *(sys.executable, "-m", "redoubt"),
            *("world", "run", "--machines", str(machines), "--network", network),
            *("--map", str(where)),
            *options,
        ]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as world:
            try:
                if cores is not None:
                    os.sched_setaffinity(world.pid, cores)
                yield _wait_for_map(world, where)
            finally:
                world.terminate()


def _wait_for_map(world: subprocess.Popen[bytes], where: Path) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if where.exists():
            found: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))
            return found
        if world.poll() is not None:
            raise RuntimeError(f"the virtual world ended with exit code {world.returncode}")
        time.sleep(0.1)
    raise RuntimeError(f"the virtual world did not stand after {_PATIENCE_S} s")
