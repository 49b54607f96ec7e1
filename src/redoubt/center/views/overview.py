"""The first page: is the mine earning what it should, what is not hashing and why, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from redoubt.center.views import words
from redoubt.center.views.findings import FindingRow, SeverityCount, count_severities
from redoubt.center.views.fleet import FRESH_S, Fleet
from redoubt.center.views.totals import (
    Cause,
    RackHeat,
    Totals,
    causes_by_machine,
    count_causes,
    rack_heats,
    sum_up,
)
from redoubt.model.finding import Finding, Severity
from redoubt.model.ids import SiteId
from redoubt.model.register import Site


class SiteSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A site in one line. `is_dark`: nothing was heard of it for longer than figures stay fresh.

    `newest_at_ms` is None where nothing was ever heard.
    """

    id: str
    name: str
    country: str
    latitude: float | None
    longitude: float | None
    allowance_w: float | None
    virtual: bool
    is_registered: bool
    is_dark: bool
    totals: Totals
    findings: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What the organisation's mine does now.

    `power_share` is of the allowance of the sites that have one; `virtual` is "all" or "some" where
    sites are virtual, else "".
    """

    at: datetime
    version: int
    totals: Totals
    causes: tuple[Cause, ...]
    allowance_w: float | None
    power_share: float | None
    hottest: RackHeat | None
    findings: tuple[SeverityCount, ...]
    open_findings: int
    newest: tuple[FindingRow, ...]
    sites: tuple[SiteSummary, ...]
    virtual: str

    @property
    def dark(self) -> tuple[SiteSummary, ...]:
        return tuple(site for site in self.sites if site.is_dark)


def summarise_sites(
    fleet: Fleet, open_counts: Mapping[tuple[SiteId, Severity], int]
) -> tuple[SiteSummary, ...]:
    """Return every site of the register, and those that only ever spoke, by name."""
    registered = {str(site.id): site for site in fleet.register.sites}
    places: dict[str, list[int]] = {site: [] for site in registered}
    for place, site in enumerate(fleet.site):
        places.setdefault(site, []).append(place)
    found: dict[str, int] = {}
    for (site_id, _), number in open_counts.items():
        found[site_id] = found.get(site_id, 0) + number
    summaries = [
        _summarise(
            fleet,
            registered.get(site, Site(id=SiteId(site), name=site)),
            at,
            found.get(site, 0),
            is_registered=site in registered,
        )
        for site, at in places.items()
    ]
    return tuple(sorted(summaries, key=lambda summary: (summary.name, summary.id)))


def make_overview(
    fleet: Fleet,
    open_findings: Sequence[Finding],
    open_counts: Mapping[tuple[SiteId, Severity], int],
    newest: tuple[FindingRow, ...],
) -> Overview:
    """Return the first page. `newest` are the gravest of the newest open findings."""
    sites = summarise_sites(fleet, open_counts)
    totals = sum_up(fleet, fleet.everywhere())
    allowed = [site for site in sites if site.allowance_w is not None]
    allowance = sum(site.allowance_w or 0.0 for site in allowed) if allowed else None
    drawn = sum(site.totals.watts.power_w or 0.0 for site in allowed)
    heats = rack_heats(fleet, fleet.everywhere())
    return Overview(
        at=fleet.now,
        version=fleet.version,
        totals=totals,
        causes=count_causes(fleet, fleet.everywhere(), causes_by_machine(open_findings)),
        allowance_w=allowance,
        power_share=drawn / allowance if allowance and totals.watts.power_w is not None else None,
        hottest=heats[0] if heats else None,
        findings=count_severities(open_counts),
        open_findings=sum(open_counts.values()),
        newest=newest,
        sites=sites,
        virtual=virtual_word(sites),
    )


def sentence(view: Overview) -> str:
    """The page in one sentence or two, for who looks up from across the room."""
    totals = view.totals
    if not totals.machines:
        return "No machine is known yet."
    if totals.newest_at_ms is None:
        return "No machine has been heard of yet."
    if len(view.dark) == len(view.sites):
        heard = words.age(words.from_ms(totals.newest_at_ms), view.at)
        return f"Nothing has come from any site for {heard}: what the mine does now is not known."
    parts = []
    if totals.earning is None:
        parts.append("The register expects no hashrate yet.")
    else:
        known = "is known to hash" if totals.silent else "hashes"
        parts.append(f"The mine {known} {words.percent(totals.earning)} of what it should.")
    if totals.not_hashing:
        parts.append(words.plural(totals.not_hashing, "machine does", "machines do") + " not hash.")
    elif not totals.silent:
        parts.append("Every machine hashes.")
    if totals.silent:
        machines = words.plural(totals.silent, "machine")
        parts.append(f"Nothing is known now of {machines}.")
    if view.dark:
        names = ", ".join(site.name for site in view.dark[:3])
        parts.append(f"Dark: {names}.")
    return " ".join(parts)


def virtual_word(sites: Sequence[SiteSummary]) -> str:
    """Return "all", "some" or "": how much of what is shown is virtual."""
    flags = {site.virtual for site in sites}
    return "" if True not in flags else ("some" if False in flags else "all")


def _summarise(
    fleet: Fleet, site: Site, places: list[int], findings: int, *, is_registered: bool
) -> SiteSummary:
    totals = sum_up(fleet, places)
    newest = totals.newest_at_ms
    return SiteSummary(
        id=site.id,
        name=site.name,
        country=site.country,
        latitude=site.latitude,
        longitude=site.longitude,
        allowance_w=site.allowance_w,
        virtual=site.virtual,
        is_registered=is_registered,
        is_dark=newest is None or fleet.now.timestamp() - newest / 1000 > FRESH_S,
        totals=totals,
        findings=findings,
    )
