"""One machine: what it is, what it does, how it is built, and where each figure comes from."""

from __future__ import annotations

from datetime import datetime

import msgspec

from redoubt.center.views.findings import FindingRow
from redoubt.center.views.fleet import FRESH_S, HASHING, Fleet
from redoubt.edge.batches import MachineDetail
from redoubt.model.register import Machine, Register
from redoubt.model.status import MachineStatus, Source

_FIELD_LABELS = {
    "hashrate_hs": "hashrate",
    "hashrate_nominal_hs": "nominal hashrate",
    "power_w": "power",
    "temp_inlet_c": "inlet temperature",
    "uptime_s": "uptime",
    "mac": "MAC",
    "control_board_serial": "control board",
    "psu": "PSU",
}
_WHY = {
    "needs_auth": "needs a password",
    "no_reply": "no reply",
    "unparsed": "could not be read",
    "implausible": "implausible, kept as claimed",
}
NEEDS_AUTH_HINT = "put its password in the site's credentials.toml"


class SourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """Where one field comes from, and when its reply came; `why` in words where there is none."""

    field: str
    label: str
    call: str
    at: datetime | None
    why: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a machine stands, in names; "" where unknown."""

    site: str
    site_name: str
    virtual: bool
    building: str
    rack: str
    rack_name: str
    slot: str


class MachinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one machine. `state` is as of now; `status` and `replies` are of
    `status.at`. `earning` is hashrate over nominal, None where either is unknown.
    """

    at: datetime
    machine: str
    place: Place
    registered: Machine | None
    owner: str
    pool: str
    pool_account: str
    state: str
    heard_at: datetime | None
    is_fresh: bool
    hashrate_hs: float | None
    nominal_hs: float | None
    earning: float | None
    power_w: float | None
    power_kind: str | None
    temp_chip_max_c: float | None
    status: MachineStatus | None
    replies: dict[str, str]
    sources: tuple[SourceLine, ...]
    findings: tuple[FindingRow, ...]

    @property
    def is_hashing(self) -> bool:
        return self.state in HASHING

    def why(self, field: str) -> str:
        """Why a field has no value, in words; "" where its source does not say."""
        return next((line.why for line in self.sources if line.field == field), "")


def make_machine_page(
    fleet: Fleet, place: int, detail: MachineDetail | None, findings: tuple[FindingRow, ...]
) -> MachinePage:
    """Return the page of the machine at `place`. `detail` is None where no details came yet."""
    register = fleet.register
    machine = fleet.machine[place]
    registered = next((entry for entry in register.machines if entry.id == machine), None)
    at_ms = fleet.at_ms[place]
    rate, nominal = fleet.hashrate_hs[place], fleet.nominal_hs[place]
    status = None if detail is None else detail.status
    pool = next(
        (pool for pool in register.pools if registered and pool.id == registered.pool), None
    )
    age_s = fleet.age_s(place)
    return MachinePage(
        at=fleet.now,
        machine=machine,
        place=locate(register, fleet.site[place], fleet.rack[place], fleet.slot[place]),
        registered=registered,
        owner=_owner_name(register, registered),
        pool="" if pool is None else pool.name,
        pool_account="" if pool is None else pool.account,
        state=fleet.state[place],
        heard_at=None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, fleet.now.tzinfo),
        is_fresh=age_s is not None and age_s <= FRESH_S,
        hashrate_hs=rate,
        nominal_hs=nominal,
        earning=rate / nominal if rate is not None and nominal else None,
        power_w=fleet.power_w[place],
        power_kind=fleet.power_kind[place],
        temp_chip_max_c=fleet.temp_chip_max_c[place],
        status=status,
        replies={} if detail is None else detail.replies,
        sources=() if status is None else source_lines(status.sources),
        findings=findings,
    )


def locate(register: Register, site: str, rack: str, slot: str) -> Place:
    """Return a place in names, as far as the register knows them."""
    known_site = next((entry for entry in register.sites if entry.id == site), None)
    known_rack = next((entry for entry in register.racks if entry.id == rack), None)
    building = next(
        (
            entry
            for entry in register.buildings
            if known_rack is not None and entry.id == known_rack.building
        ),
        None,
    )
    return Place(
        site=site,
        site_name=site if known_site is None else known_site.name,
        virtual=known_site is not None and known_site.virtual,
        building="" if building is None else building.name,
        rack=rack,
        rack_name=rack if known_rack is None else known_rack.name,
        slot=slot,
    )


def source_lines(sources: dict[str, Source]) -> tuple[SourceLine, ...]:
    """Return one line per field, those without a value first."""
    lines = [
        SourceLine(
            field=field,
            label=_FIELD_LABELS.get(field, field.replace("_", " ")),
            call=source.call,
            at=source.at,
            why="" if source.why is None else _WHY.get(source.why, str(source.why)),
        )
        for field, source in sources.items()
    ]
    return tuple(sorted(lines, key=lambda line: (not line.why, line.field)))


def _owner_name(register: Register, machine: Machine | None) -> str:
    if machine is None or machine.owner is None:
        return ""
    owner = next((owner for owner in register.owners if owner.id == machine.owner), None)
    return machine.owner if owner is None else owner.name
