"""A /22 with 1,022 virtual machines, scanned while one core is kept busy: 100 % must be found.

The world runs on the other core, so scanner, world and the busy loop fight for two cores between
them. Every concurrency must find every machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import aclosing

import uvloop

from bench._virtual import virtual_world
from redoubt.edge.limits import raise_file_limit
from redoubt.site.networks import parse_networks
from redoubt.site.scan import scan

NETWORK = "127.82.0.0/22"
MACHINES = 1022
BUSY = "while True: pass"


def main() -> None:
    raise_file_limit()
    cores = sorted(os.sched_getaffinity(0))
    with virtual_world(MACHINES, NETWORK) as world:
        ports = world["ports"]
        with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
            try:
                os.sched_setaffinity(busy.pid, cores[:1])
                for concurrency, rate in ((1024, None), (1024, 50_000.0), (64, 50_000.0)):
                    began = time.monotonic()
                    found = uvloop.run(_found(ports, concurrency, rate))
                    print(
                        f"{found} of {MACHINES} found ({found / MACHINES:.1%}) in "
                        f"{time.monotonic() - began:.1f} s, {concurrency} addresses at once, "
                        f"{'default rate' if rate is None else f'{rate:.0f} connections/s'}, "
                        f"one of {len(cores)} cores kept busy"
                    )
            finally:
                busy.kill()


async def _found(ports: dict[str, int], concurrency: int, rate: float | None) -> int:
    statuses = scan(parse_networks([NETWORK]), ports, concurrency=concurrency, rate=rate)
    found = set()
    async with aclosing(statuses):
        async for status in statuses:
            if status.family is not None:
                found.add(status.address)
    return len(found)


if __name__ == "__main__":
    main()
