"""One site: its sums, its racks as a table, and its agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from redoubt.center.views.fleet import Fleet
from redoubt.center.views.heatmap import natural
from redoubt.center.views.overview import SiteSummary
from redoubt.center.views.totals import Cause, RackHeat, causes_by_machine, count_causes, rack_heats
from redoubt.edge.records.agents import Agent
from redoubt.model.finding import Finding


class RackLine(msgspec.Struct, frozen=True, kw_only=True):
    """A rack in one line of the table that says the heat map in words."""

    id: str
    name: str
    building: str
    machines: int
    hashing: int
    hashrate_hs: float
    expected_hs: float
    power_w: float
    mean_c: float | None
    max_c: float | None


class SitePage(msgspec.Struct, frozen=True, kw_only=True):
    """A site's page. `newest_at` is when anything was last heard; None means never."""

    at: datetime
    summary: SiteSummary
    causes: tuple[Cause, ...]
    hottest: RackHeat | None
    racks: tuple[RackLine, ...]
    agents: tuple[Agent, ...]
    newest_at: datetime | None


def make_site_page(
    fleet: Fleet,
    summary: SiteSummary,
    open_findings: Sequence[Finding],
    agents: Sequence[Agent],
) -> SitePage:
    places = fleet.of_site(summary.id)
    heats = rack_heats(fleet, places)
    newest_ms = summary.totals.newest_at_ms
    return SitePage(
        at=fleet.now,
        summary=summary,
        causes=count_causes(fleet, places, causes_by_machine(open_findings)),
        hottest=heats[0] if heats else None,
        racks=_rack_lines(fleet, places, {heat.rack: heat for heat in heats}),
        agents=tuple(agent for agent in agents if agent.site == summary.id),
        newest_at=(
            None
            if newest_ms is None
            else datetime.fromtimestamp(newest_ms / 1000, fleet.now.tzinfo)
        ),
    )


def _rack_lines(
    fleet: Fleet, places: Sequence[int], heats: dict[str, RackHeat]
) -> tuple[RackLine, ...]:
    buildings = {building.id: building.name for building in fleet.register.buildings}
    racks = {str(rack.id): rack for rack in fleet.register.racks}
    by_rack: dict[str, list[int]] = {}
    for place in places:
        by_rack.setdefault(fleet.rack[place], []).append(place)
    lines = []
    for rack_id, members in by_rack.items():
        rack, heat = racks.get(rack_id), heats.get(rack_id)
        fresh = [at for at in members if fleet.state[at] not in ("stale", "unknown")]
        lines.append(
            RackLine(
                id=rack_id,
                name=rack.name if rack is not None else rack_id or "No place",
                building=buildings.get(rack.building, "") if rack is not None else "",
                machines=len(members),
                hashing=sum(fleet.is_hashing(at) for at in members),
                hashrate_hs=sum(fleet.hashrate_hs[at] or 0.0 for at in fresh),
                expected_hs=sum(fleet.nominal_hs[at] or 0.0 for at in members),
                power_w=sum(fleet.power_w[at] or 0.0 for at in fresh),
                mean_c=None if heat is None else heat.mean_c,
                max_c=None if heat is None else heat.max_c,
            )
        )
    return tuple(
        sorted(lines, key=lambda line: (natural(line.building), natural(line.name), line.id))
    )
