"""Stock Antminers, steady polls in a full-speed sweep: CPU per machine against pyasic_rs, warm.

Both read the same virtual machines in one process whose CPU time is taken. Ours includes the row of
telemetry. Must reach: 1.2 ms, 1.0 times pyasic_rs, at most 3 requests. pyasic_rs knows no other
ports than 4028 and 80, so where port 80 cannot be bound it is left out, and that is said.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from bench._virtual import virtual_world
from redoubt.edge.miner import Login
from redoubt.model.ids import MachineId
from redoubt.model.sample import sample_of
from redoubt.model.status import MachineState
from redoubt.site.credentials import Credentials
from redoubt.site.poller import Poller, Target

MACHINES = 300
ROUNDS = 7
AT_ONCE = 64
NETWORK = "127.81.0.0/16"


def main() -> None:
    with virtual_world(MACHINES, NETWORK, "--mixture", "antminer=1") as world:
        machines = world["machines"]
        if world["ports"]["antminer.web"] != 80:
            print("pyasic_rs: left out, because port 80 cannot be bound here")
            ours_ms, requests = uvloop.run(_ours(machines, world["ports"]))
            print(f"redoubt:   {_figures(ours_ms)}, {requests:g} requests")
            return
        theirs_ms, known = asyncio.run(_theirs([each["address"] for each in machines]))
        shared = [each for each in machines if each["address"] in known]
        ours_ms, requests = uvloop.run(_ours(shared, world["ports"]))
    print(f"{len(shared)} of {MACHINES} machines, those that pyasic_rs recognises, both sides:")
    print(f"pyasic_rs: {_figures(theirs_ms)}, warm")
    print(f"redoubt:   {_figures(ours_ms)}, {requests:g} requests (must reach 1.2 ms, 3 requests)")
    ratio = statistics.median(ours_ms) / statistics.median(theirs_ms)
    print(f"ratio:     {ratio:.2f} (must reach 1.0)")


def _figures(rounds_ms: Sequence[float]) -> str:
    return (
        f"median {statistics.median(rounds_ms):.2f} ms CPU per machine (best {min(rounds_ms):.2f})"
    )


async def _ours(
    machines: Sequence[dict[str, Any]], ports: dict[str, int]
) -> tuple[list[float], float]:
    targets = [
        Target(
            machine=MachineId(each["id"]),
            address=each["address"],
            family=each["family"],
            ports=ports,
        )
        for each in machines
    ]
    poller = Poller(Credentials.single(Login("root", "root")))
    rounds_ms = []
    asked = 0
    for turn in range(ROUNDS + 1):
        began, asked_before = time.process_time(), poller.calls_made
        rows = []
        async for poll in poller.sweep(targets, AT_ONCE):
            assert poll.status.state is not MachineState.OFFLINE
            rows.append(sample_of(poll.target.machine, poll.status))
        assert len(rows) == len(targets)
        if turn:  # the first round asks for identities too
            rounds_ms.append((time.process_time() - began) / len(targets) * 1000)
            asked = poller.calls_made - asked_before
    return rounds_ms, asked / len(targets)


async def _theirs(addresses: Sequence[str]) -> tuple[list[float], set[str]]:
    from pyasic_rs import MinerFactory

    factory = MinerFactory()
    gate = asyncio.Semaphore(AT_ONCE)

    async def find(address: str) -> Any:
        async with gate:
            return await factory.get_miner(address)

    async def read(miner: Any) -> Any:
        async with gate:
            return await miner.get_data()

    found = await asyncio.gather(*map(find, addresses))
    miners = [miner for miner in found if miner is not None]
    known = {address for address, miner in zip(addresses, found, strict=True) if miner is not None}
    rounds_ms = []
    for turn in range(ROUNDS + 1):
        began = time.process_time()
        read_data = await asyncio.gather(*map(read, miners))
        assert all(data is not None for data in read_data)
        if turn:
            rounds_ms.append((time.process_time() - began) / len(miners) * 1000)
    return rounds_ms, known


if __name__ == "__main__":
    main()
