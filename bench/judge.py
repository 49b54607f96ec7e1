"""One round of judging over 1,000 machines by all rules. Must reach: 30 ms healthy or half silent.

An agent judges every 5 s, so 30 ms are 0.6 % of a core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from redoubt.model.ids import MachineId, OrganisationId, PoolId, RackId, SiteId
from redoubt.model.register import Machine, Pool, RegisterSlice, Site
from redoubt.model.status import (
    Board,
    Fan,
    MachineState,
    MachineStatus,
    PoolState,
    PoolStatus,
    PowerKind,
    Source,
)
from redoubt.reconcile import AgentView, FindingBook, SiteMemory, all_rules, judge_site

MACHINES = 1000
RUNS = 15
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SITE = SiteId("fort")
POOL = Pool(PoolId("main"), "Main", "stratum+tcp://pool.example:3333", "acme")
_FIELDS = (
    *("make", "model", "firmware", "serial", "mac", "hostname", "hashrate_hs", "power_w"),
    *("hashrate_nominal_hs", "uptime_s", "boards", "fans", "pools", "errors", "clock_at"),
    *("temp_inlet_c", "boards.chips", "boards.serial"),
)
_SOURCES = {name: Source("stats", NOW) for name in _FIELDS}


def main() -> None:
    register = RegisterSlice(
        organisation=OrganisationId("acme"),
        version=1,
        made_at=NOW,
        site=Site(id=SITE, name="Fort"),
        pools=(POOL,),
        machines=tuple(_registered(number) for number in range(MACHINES)),
    )
    memory = SiteMemory()
    for number in range(MACHINES):
        memory.learn(_id(number), _status(number, MachineState.HASHING))
    _measure("healthy", memory, register)
    for _ in range(3):
        for number in range(0, MACHINES, 2):
            memory.learn(_id(number), _status(number, MachineState.OFFLINE))
    _measure("half silent", memory, register)


def _measure(what: str, memory: SiteMemory, register: RegisterSlice) -> None:
    agent = AgentView(agent="agent-1", started_at=NOW)
    view = memory.view(SITE, register, agent)
    judgement = judge_site(view, NOW)
    book = FindingBook()
    for at_s in (0, 60):
        book.apply(judgement, NOW + timedelta(seconds=at_s))
    later = NOW + timedelta(seconds=90)
    print(
        f"{what}: view {_best_ms(lambda: memory.view(SITE, register, agent)):.1f} ms, "
        f"judge {_best_ms(lambda: judge_site(view, NOW)):.1f} ms, "
        f"book {_best_ms(lambda: book.apply(judgement, later)):.1f} ms "
        f"({len(all_rules())} rules, {MACHINES} machines, {len(book.findings())} open findings)"
    )


def _best_ms(run: Callable[[], object]) -> float:
    """The best of several runs: others use this computer too."""
    best_s = float("inf")
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        best_s = min(best_s, time.perf_counter() - began)
    return best_s * 1000


def _id(number: int) -> MachineId:
    return MachineId(f"m{number:04}")


def _mac(number: int) -> str:
    return f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"


def _address(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250 + 1}"


def _registered(number: int) -> Machine:
    return Machine(
        id=_id(number),
        site=SITE,
        make="Bitmain",
        model="Antminer S19j Pro",
        rack=RackId(f"r{number // 36}"),
        address=_address(number),
        serial=f"SN{number:05}",
        mac=_mac(number),
        hashboard_serials=tuple(f"HB{number}-{board}" for board in range(3)),
        pool=POOL.id,
        worker=_id(number),
        power_limit_w=3300.0,
    )


def _status(number: int, state: MachineState) -> MachineStatus:
    return MachineStatus(
        address=_address(number),
        at=NOW,
        state=state,
        family="antminer",
        make="Bitmain",
        model="Antminer S19j Pro",
        serial=f"SN{number:05}",
        mac=_mac(number),
        hashrate_hs=104e12,
        hashrate_nominal_hs=104e12,
        power_w=3100.0,
        power_kind=PowerKind.CLAIMED,
        uptime_s=100_000,
        clock_at=NOW,
        boards=tuple(
            Board(board, f"HB{number}-{board}", 35e12, 126, 126, 60.0, 70.0) for board in range(3)
        ),
        fans=tuple(Fan(fan, 5000) for fan in range(4)),
        pools=tuple(
            PoolStatus(at, POOL.url, f"acme.{_id(number)}", state)
            for at, state in enumerate((PoolState.ACTIVE, PoolState.ALIVE, PoolState.ALIVE))
        ),
        sources=_SOURCES,
    )


if __name__ == "__main__":
    main()
