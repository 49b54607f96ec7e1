"""A small mine for the pages' tests and benches: made by rule from a seed, no sockets, no world.

It goes into a real center's records, store and latest state, just as a site's batches would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from redoubt.edge.batches import SAMPLE_SCHEMA, MachineDetail
from redoubt.edge.telemetry import SiteRows
from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.model.ids import (
    BuildingId,
    MachineId,
    OrganisationId,
    OwnerId,
    PoolId,
    RackId,
    SiteId,
)
from redoubt.model.register import Building, Machine, Owner, Pool, Rack, Register, Site, Slot
from redoubt.model.sample import Sample, sample_of
from redoubt.model.status import (
    Board,
    Fan,
    MachineFault,
    MachineState,
    MachineStatus,
    PoolState,
    PoolStatus,
    PowerKind,
    Psu,
    Source,
    Why,
)

LEVELS, POSITIONS = 5, 4
PER_RACK = LEVELS * POSITIONS
MODELS = (
    ("Bitmain", "Antminer S19 Pro", "antminer", 110e12, 3250.0, 114),
    ("Bitmain", "Antminer S21", "antminer", 200e12, 3500.0, 108),
    ("MicroBT", "WhatsMiner M50S", "whatsminer_v3", 128e12, 3276.0, 111),
)
TROUBLES = ("offline", "degraded", "sleeping", "needs_auth", "hot", "slow")


class Mine(msgspec.Struct, frozen=True):
    """One site's plan: what is allowed, and which machine has which trouble ("" for none)."""

    site: Site
    buildings: tuple[Building, ...]
    racks: tuple[Rack, ...]
    machines: tuple[Machine, ...]
    troubles: dict[str, str]
    seed: int

    def register(self, organisation: OrganisationId, *others: Mine) -> Register:
        mines = (self, *others)
        return Register(
            organisation=organisation,
            version=0,
            owners=(Owner(OwnerId("north"), "North Virtual Hashing"),),
            pools=(Pool(PoolId("pool-a"), "Pool A", "stratum+tcp://pool.invalid:3333", "north"),),
            sites=tuple(sorted((mine.site for mine in mines), key=lambda site: site.id)),
            buildings=_by_id(building for mine in mines for building in mine.buildings),
            racks=_by_id(rack for mine in mines for rack in mine.racks),
            machines=_by_id(machine for mine in mines for machine in mine.machines),
        )


def _by_id(nouns: Any) -> Any:
    return tuple(sorted(nouns, key=lambda noun: noun.id))


def plan_mine(
    site: Site, machines: int, seed: int = 1, trouble: float = 0.06, prefix: str = "m"
) -> Mine:
    """Plan a site of racks with one model each, and `trouble` of its machines in trouble."""
    dice = random.Random(seed)
    racks, planned, buildings = [], [], []
    troubles: dict[str, str] = {}
    for number in range(-(-machines // PER_RACK)):
        hall = number // 16
        building = BuildingId(f"{site.id}-hall-{hall + 1}")
        if number % 16 == 0:
            buildings.append(Building(building, site.id, f"Hall {hall + 1}"))
        rack = RackId(f"{prefix}{chr(ord('A') + hall)}{number % 16 + 1:02d}")
        racks.append(
            Rack(id=rack, building=building, name=rack[len(prefix) :], levels=LEVELS,
                 positions=POSITIONS)
        )  # fmt: skip
        make, model, family, nominal, _, _ = MODELS[dice.choice((0, 0, 1, 2))]
        for nth in range(min(PER_RACK, machines - number * PER_RACK)):
            at = number * PER_RACK + nth
            name = MachineId(f"{prefix}-{at + 1:04d}")
            if dice.random() < trouble:
                troubles[name] = dice.choice(TROUBLES)
            planned.append(
                Machine(
                    id=name,
                    site=site.id,
                    make=make,
                    model=model,
                    family=family,
                    rack=rack,
                    slot=Slot(nth // POSITIONS + 1, nth % POSITIONS + 1),
                    address=f"10.20.{at // 250}.{at % 250 + 1}",
                    serial=f"VIRT{seed:02d}{at:06d}",
                    mac=f"02:00:{seed:02x}:{at >> 16:02x}:{at >> 8 & 255:02x}:{at & 255:02x}",
                    owner=OwnerId("north"),
                    pool=PoolId("pool-a"),
                    worker=f"north.{name}",
                    hashrate_nominal_hs=nominal,
                    power_limit_w=4000.0,
                )
            )
    return Mine(site, tuple(buildings), tuple(racks), tuple(planned), troubles, seed)


def status_of(mine: Mine, machine: Machine, at: datetime, dice: random.Random) -> MachineStatus:
    """Return what a machine of the mine would say."""
    trouble = mine.troubles.get(machine.id, "")
    _, _, _, nominal, watts, chips = next(
        (row for row in MODELS if row[1] == machine.model), MODELS[0]
    )
    common: dict[str, Any] = {
        "address": machine.address or "",
        "at": at,
        "family": machine.family,
        "make": machine.make,
        "model": machine.model,
        "hashrate_nominal_hs": nominal,
    }
    if trouble in ("offline", "needs_auth"):
        return MachineStatus(state=MachineState(trouble), **common)
    share = {"degraded": 0.66, "sleeping": 0.0, "slow": 0.8}.get(trouble, 1.0)
    rate = nominal * share * dice.gauss(0.995, 0.012)
    power = watts * (0.05 + 0.95 * share) * dice.gauss(1.0, 0.01)
    rack = int.from_bytes((machine.rack or "").encode(), "big") % 13
    temp = 58 + rack + dice.gauss(0, 2) + (24 if trouble == "hot" else 0) - (1 - share) * 20
    boards = tuple(
        Board(
            index=index,
            serial=f"{machine.serial}-B{index}",
            hashrate_hs=0.0 if trouble == "degraded" and index == 2 else rate / (3 * share or 1),
            chips=0 if trouble == "degraded" and index == 2 else chips,
            chips_expected=chips,
            temp_board_c=round(temp - 14, 1),
            temp_chip_max_c=round(temp - abs(dice.gauss(0, 1.5)), 1),
        )
        for index in range(3)
    )
    asleep = trouble == "sleeping"
    return MachineStatus(
        state=MachineState(trouble) if trouble in ("degraded", "sleeping") else
        MachineState.HASHING,
        firmware="Fri Mar 10 2023 (virtual)",
        serial=machine.serial,
        mac=machine.mac,
        control_board_serial=f"{machine.serial}-C",
        hostname=f"{machine.id}.virtual",
        hashrate_hs=rate,
        power_w=power,
        power_kind=PowerKind.CLAIMED if machine.make == "MicroBT" else PowerKind.ESTIMATED,
        efficiency_j_per_th=power / (rate / 1e12) if rate else None,
        temp_inlet_c=24.0,
        uptime_s=90_000 + dice.randrange(900_000),
        boards=boards,
        fans=tuple(Fan(index, 0 if asleep else 4200 + dice.randrange(400)) for index in range(4)),
        psu=Psu(model="APW12 (virtual)", power_w=power),
        pools=(
            PoolStatus(0, "stratum+tcp://pool.invalid:3333", machine.worker, PoolState.ACTIVE,
                       48_211, 31, 12),
            PoolStatus(1, "stratum+tcp://backup.invalid:3333", machine.worker, PoolState.ALIVE,
                       0, 0, 0),
        ),
        errors=(MachineFault("J0:2", "board 2 does not answer", at),)
        if trouble == "degraded" else (),
        sources={
            "hashrate_hs": Source("summary", at),
            "power_w": Source("hardware", at),
            "pools": Source("pools", at),
            "boards": Source("stats", at),
            "uptime_s": Source("summary", at),
            "serial": Source("system_info", None, Why.NEEDS_AUTH),
        },
        **common,
    )  # fmt: skip


def samples_at(mine: Mine, at: datetime) -> list[Sample]:
    """Return one sample per machine."""
    dice = random.Random(f"{mine.seed}{at.isoformat()}")
    return [
        sample_of(
            machine.id,
            status_of(mine, machine, at - timedelta(seconds=dice.random() * 3), dice),
            machine.rack or RackId(""),
            str(machine.slot),
        )
        for machine in mine.machines
    ]


def details_at(mine: Mine, at: datetime) -> list[MachineDetail]:
    """Return one detail per machine, with a raw reply."""
    dice = random.Random(mine.seed)
    return [
        MachineDetail(
            machine=machine.id,
            rack=machine.rack or RackId(""),
            slot=str(machine.slot),
            status=status_of(mine, machine, at, dice),
            replies={
                "summary": '{"STATUS":[{"STATUS":"S","Msg":"Summary"}],"SUMMARY":[{"GHS 5s":1}]}'
            },
        )
        for machine in mine.machines
    ]


def history(
    organisation: OrganisationId, mine: Mine, end: datetime, hours: float, step_s: int
) -> SiteRows:
    """Return samples of the last `hours` for the store, made by columns because they are many."""
    now_table = samples_table(samples_at(mine, end))
    steps = int(hours * 3600 / step_s)
    dice = np.random.default_rng(mine.seed)
    tables = []
    for back in range(steps, 0, -1):
        at = end - timedelta(seconds=back * step_s)
        day = 1 + 0.01 * np.sin(2 * np.pi * at.hour / 24)
        table = now_table.set_column(
            0,
            SAMPLE_SCHEMA.field("at"),
            pa.array(
                np.full(now_table.num_rows, np.datetime64(at.replace(tzinfo=None), "ms"))
            ).cast(SAMPLE_SCHEMA.field("at").type),
        )
        for name in ("hashrate_hs", "power_w", "temp_chip_max_c"):
            place = SAMPLE_SCHEMA.get_field_index(name)
            kind = SAMPLE_SCHEMA.field(name)
            values = table.column(name).to_numpy(zero_copy_only=False).astype(float)
            noisy = values * day * dice.normal(1.0, 0.01, len(values))
            cells = pa.array(noisy, pa.float64(), from_pandas=True).cast(kind.type, safe=False)
            table = table.set_column(place, kind, cells)
        tables.append(table)
    return SiteRows(organisation, mine.site.id, pa.concat_tables(tables).unify_dictionaries())


def samples_table(samples: Sequence[Sample]) -> pa.Table:
    from redoubt.edge.batches import decode_samples, encode_samples

    return decode_samples(encode_samples(samples))


def findings_of(mine: Mine, now: datetime) -> list[FindingEvent]:
    """Return an opened finding per machine in trouble."""
    said = {
        "offline": ("machine_offline", Severity.HIGH, "Does not answer", "no_reply"),
        "degraded": ("board_lost", Severity.HIGH, "Hashboard 2 is lost", "board_lost"),
        "sleeping": ("machine_not_hashing", Severity.LOW, "Not hashing: it sleeps", "sleeping"),
        "hot": ("machine_hot", Severity.CRITICAL, "Hottest chip at 88 °C", "hot"),
        "slow": ("hashrate_low", Severity.MEDIUM, "Hashes 80 % of nominal", "slow"),
    }
    events = []
    for number, (machine, trouble) in enumerate(sorted(mine.troubles.items())):
        if trouble not in said:
            continue
        rule, severity, title, cause = said[trouble]
        began = now - timedelta(minutes=7 + 13 * (number % 31))
        finding = Finding(
            rule=rule,
            subject=Subject(SubjectKind.MACHINE, machine),
            severity=severity,
            title=title,
            cause=cause,
            evidence=(
                Evidence(
                    "machine", began, f"the machine's own word: {title.lower()}",
                    {"temp_chip_max_c": 88.2, "hashrate_hs": 104.2e12, "power_w": 3250.0},
                ),
            ),
            confidence=0.97,
            began_at=began,
            opened_at=began + timedelta(minutes=1),
            seen_at=now,
        )  # fmt: skip
        events.append(FindingEvent(FindingChange.OPENED, finding))
    return events


def north(virtual: bool = True) -> Site:
    return Site(
        id=SiteId("north"), name="Bunker North", country="NO", latitude=68.4, longitude=17.4,
        allowance_w=3.6e6, virtual=virtual,
    )  # fmt: skip


def south() -> Site:
    return Site(
        id=SiteId("south"), name="Bunker South", country="PY", latitude=-25.3, longitude=-57.6,
        allowance_w=0.5e6, virtual=True,
    )  # fmt: skip


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
