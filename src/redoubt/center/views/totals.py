"""Sums over machines, such that a figure never mixes what is known with what is not.

Only fresh machines count as now. Efficiency is of those alone that say both watts and hashrate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from redoubt.center.views.fleet import HASHING, Fleet
from redoubt.model.finding import Finding, Severity, SubjectKind
from redoubt.model.units import efficiency_j_per_th

_CAUSE_RULES = frozenset({"machine_offline", "machine_not_hashing", "machine_missing"})
"""Rules whose cause says why a machine does not hash; others speak of machines that may."""
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Watts(msgspec.Struct, frozen=True, kw_only=True):
    """Power now. `kinds` says how many watts of it are measured, claimed or estimated.

    `silent` machines hash without saying their watts, so the sum is short of theirs.
    """

    power_w: float | None
    kinds: tuple[tuple[str, float], ...]
    silent: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """`expected_hs` is the nominal hashrate of all machines of the register, hashing or not.

    `earning` is the part of it that registered machines hash now; None where nothing is known now.
    """

    machines: int
    hashing: int
    states: dict[str, int]
    hashrate_hs: float | None
    expected_hs: float | None
    earning: float | None
    watts: Watts
    efficiency_j_per_th: float | None
    newest_at_ms: int | None

    @property
    def silent(self) -> int:
        """Machines of which nothing is known now, so that they may hash or not."""
        return self.states.get("stale", 0) + self.states.get("unknown", 0)

    @property
    def not_hashing(self) -> int:
        """Machines that are known not to hash now."""
        return self.machines - self.hashing - self.silent


class Cause(msgspec.Struct, frozen=True):
    """Why machines do not hash, and how many; `share` is of the commonest cause."""

    cause: str
    count: int
    share: float


class RackHeat(msgspec.Struct, frozen=True, kw_only=True):
    """A rack's heat: the mean over its machines of their hottest chip, and the hottest of all."""

    site: str
    rack: str
    name: str
    mean_c: float
    max_c: float
    machines: int
    hottest: str


def sum_up(fleet: Fleet, places: Iterable[int]) -> Totals:
    """Return the sums over the machines at `places`."""
    chosen = list(places)
    fresh = [at for at in chosen if fleet.state[at] not in ("stale", "unknown")]
    states = Counter(fleet.state[at] for at in chosen)
    nominal = [fleet.nominal_hs[at] for at in chosen if fleet.is_registered[at]]
    expected = _sum_known(nominal)
    earned = _sum_known([fleet.hashrate_hs[at] for at in fresh if fleet.is_registered[at]])
    both = [
        at for at in fresh if fleet.power_w[at] is not None and fleet.hashrate_hs[at] is not None
    ]
    return Totals(
        machines=len(chosen),
        hashing=sum(fleet.is_hashing(at) for at in fresh),
        states=dict(states),
        hashrate_hs=_sum_known([fleet.hashrate_hs[at] for at in fresh]),
        expected_hs=expected,
        earning=(earned or 0.0) / expected if expected and fresh else None,
        watts=_sum_watts(fleet, fresh),
        efficiency_j_per_th=efficiency_j_per_th(
            _sum_known([fleet.power_w[at] for at in both]),
            _sum_known([fleet.hashrate_hs[at] for at in both]),
        ),
        newest_at_ms=max((at for at in map(fleet.at_ms.__getitem__, chosen) if at), default=None),
    )


def count_causes(
    fleet: Fleet, places: Iterable[int], findings: Mapping[str, str]
) -> tuple[Cause, ...]:
    """Return why machines do not hash, the commonest first.

    `findings` are the causes that open findings give, by machine; where there is none, the state is
    the cause.
    """
    counts = Counter(cause_of(fleet, at, findings) for at in places if not fleet.is_hashing(at))
    most = max(counts.values(), default=1)
    return tuple(Cause(cause, number, number / most) for cause, number in counts.most_common())


def cause_of(fleet: Fleet, place: int, findings: Mapping[str, str]) -> str:
    """Return why one machine does not hash. Old news explains nothing: a stale machine is stale."""
    state = fleet.state[place]
    if state in ("stale", "unknown"):
        return state
    if state in HASHING:
        state = "idle"
    return findings.get(fleet.machine[place], "no_reply" if state == "offline" else state)


def causes_by_machine(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the cause by machine of findings that say why it does not hash."""
    chosen: dict[str, Finding] = {}
    for finding in findings:
        if finding.subject.kind is SubjectKind.MACHINE and finding.rule in _CAUSE_RULES:
            before = chosen.get(finding.subject.id)
            if before is None or _rank(finding) < _rank(before):
                chosen[finding.subject.id] = finding
    return {machine: finding.cause for machine, finding in chosen.items()}


def rack_heats(fleet: Fleet, places: Iterable[int]) -> list[RackHeat]:
    """Return racks by their mean temperature, the hottest first."""
    temps: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for at in places:
        temp = fleet.temp_chip_max_c[at]
        if temp is not None and fleet.rack[at] and fleet.state[at] in HASHING:
            temps.setdefault((fleet.site[at], fleet.rack[at]), []).append((temp, fleet.machine[at]))
    names = {str(rack.id): rack.name for rack in fleet.register.racks}
    heats = [
        RackHeat(
            site=site,
            rack=rack,
            name=names.get(rack, rack),
            mean_c=sum(temp for temp, _ in found) / len(found),
            max_c=max(found)[0],
            machines=len(found),
            hottest=max(found)[1],
        )
        for (site, rack), found in temps.items()
    ]
    return sorted(heats, key=lambda heat: -heat.mean_c)


def _sum_watts(fleet: Fleet, fresh: list[int]) -> Watts:
    kinds: dict[str, float] = {}
    silent = 0
    for at in fresh:
        power = fleet.power_w[at]
        if power is not None:
            kind = fleet.power_kind[at] or "claimed"
            kinds[kind] = kinds.get(kind, 0.0) + power
        elif fleet.state[at] in HASHING:
            silent += 1
    ordered = tuple(sorted(kinds.items(), key=lambda item: -item[1]))
    return Watts(power_w=sum(kinds.values()) if kinds else None, kinds=ordered, silent=silent)


def _sum_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rank(finding: Finding) -> int:
    return _SEVERITY_RANK[finding.severity]
