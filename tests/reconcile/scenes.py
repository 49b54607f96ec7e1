"""Sites to judge: a healthy machine, a site around it, and short words for what goes wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from redoubt.model.finding import Observation, Severity, Subject, SubjectKind
from redoubt.model.identity import Identity
from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    PoolId,
    RackId,
    SiteId,
)
from redoubt.model.register import Machine, Pool, Rack, RegisterSlice, Site
from redoubt.model.status import (
    Board,
    Fan,
    MachineState,
    MachineStatus,
    PoolState,
    PoolStatus,
    PowerKind,
)
from redoubt.reconcile import (
    AgentView,
    Judgement,
    MachineView,
    SiteView,
    judge_site,
)

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SITE = SiteId("bunker")
POOL = Pool(PoolId("pool"), "Pool", "stratum+tcp://pool.example:3333", "acme")
SERIAL = "SN0001"
MAC = "02:00:00:00:00:01"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def healthy(**changes: Any) -> MachineStatus:
    """A machine of no hardware table that does all it should."""
    values: dict[str, Any] = {
        "address": "10.0.0.1",
        "at": NOW,
        "family": "antminer",
        "make": "Bitmain",
        "model": "Test One",
        "serial": SERIAL,
        "mac": MAC,
        "state": MachineState.HASHING,
        "hashrate_hs": 100e12,
        "hashrate_nominal_hs": 100e12,
        "power_w": 3000.0,
        "power_kind": PowerKind.CLAIMED,
        "uptime_s": 100_000,
        "boards": tuple(Board(i, f"HB{i}", 33e12, 100, 100, 60.0, 70.0) for i in range(3)),
        "fans": tuple(Fan(i, 5000) for i in range(4)),
        "pools": (
            PoolStatus(0, POOL.url, "acme.m1", PoolState.ACTIVE),
            PoolStatus(1, "stratum+tcp://backup.example:3333", "acme.m1", PoolState.ALIVE),
        ),
    }
    return MachineStatus(**(values | changes))


def registered(**changes: Any) -> Machine:
    values: dict[str, Any] = {
        "id": MachineId("m1"),
        "site": SITE,
        "make": "Bitmain",
        "model": "Test One",
        "rack": RackId("r1"),
        "address": "10.0.0.1",
        "serial": SERIAL,
        "mac": MAC,
        "pool": POOL.id,
        "power_limit_w": 3200.0,
    }
    return Machine(**(values | changes))


def register(machines: Iterable[Machine] = (), **changes: Any) -> RegisterSlice:
    values: dict[str, Any] = {
        "organisation": OrganisationId("acme"),
        "version": 7,
        "made_at": NOW - seconds(3600),
        "site": Site(id=SITE, name="Bunker"),
        "pools": (POOL,),
        "racks": (
            Rack(id=RackId("r1"), building=BuildingId("b"), name="A1", levels=6, positions=6),
        ),
        "machines": tuple(machines),
    }
    return RegisterSlice(**(values | changes))


def machine(**changes: Any) -> MachineView:
    """A registered machine that answered just now."""
    values: dict[str, Any] = {
        "machine": MachineId("m1"),
        "address": "10.0.0.1",
        "registered": registered(),
        "status": healthy(),
        "first_seen_at": NOW - seconds(86_400),
        "last_answered_at": NOW,
        "identity": Identity(serial=SERIAL, mac=MAC),
        "expected": Identity(serial=SERIAL, mac=MAC),
    }
    return MachineView(**(values | changes))


_BEFORE = NOW - timedelta(seconds=50)


def silent(misses: int = 3, since: datetime = _BEFORE, **changes: Any) -> MachineView:
    """A machine whose last polls had no answer."""
    address = changes.get("address", "10.0.0.1")
    return machine(
        status=MachineStatus(address=address, at=NOW, state=MachineState.OFFLINE),
        misses=misses,
        last_answered_at=since,
        **changes,
    )


def agent(**changes: Any) -> AgentView:
    values: dict[str, Any] = {
        "agent": "agent-1",
        "started_at": NOW - seconds(7200),
        "register_confirmed_at": NOW,
        "sweep_s": 4.0,
    }
    return AgentView(**(values | changes))


def site(*machines: MachineView, **changes: Any) -> SiteView:
    """A site of these machines, with the register that they say they are in."""
    values: dict[str, Any] = {
        "site": SITE,
        "agent": agent(),
        "machines": machines,
        "register": register(view.registered for view in machines if view.registered),
    }
    return SiteView(**(values | changes))


def judged(rule: str, view: SiteView, now: datetime = NOW) -> list[Observation]:
    """What one rule says of a site."""
    return [seen for seen in judge_site(view, now).observations if seen.rule == rule]


def about(rule: str, view: MachineView, now: datetime = NOW) -> Observation | None:
    """What one rule says of one machine, None where nothing."""
    seen = judged(rule, site(view), now)
    assert len(seen) <= 1
    if not seen:
        return None
    assert seen[0].subject == Subject(SubjectKind.MACHINE, view.machine)
    assert seen[0].evidence, "an observation without evidence is a rumour"
    return seen[0]


def is_judged(rule: str, view: MachineView, now: datetime = NOW) -> bool:
    judgement: Judgement = judge_site(site(view), now)
    return judgement.is_judged(rule, Subject(SubjectKind.MACHINE, view.machine))


def observation(
    rule: str = "fan_lost", subject: str = "m1", severity: Severity = Severity.HIGH, **changes: Any
) -> Observation:
    values: dict[str, Any] = {
        "rule": rule,
        "subject": Subject(SubjectKind.MACHINE, subject),
        "severity": severity,
        "title": "Fan 2 of 4 stands still",
        "cause": "fan_lost",
        "evidence": (),
    }
    return Observation(**(values | changes))
