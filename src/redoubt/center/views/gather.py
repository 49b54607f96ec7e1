"""Where view models get their facts: the center's parts, asked for one organisation at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from redoubt.center.context import Center
from redoubt.center.views.findings import FindingDetail, FindingList, finding_detail, finding_row
from redoubt.center.views.findings import list_findings as page_of_findings
from redoubt.center.views.fleet import HEARD, Fleet, join_fleet
from redoubt.center.views.heatmap import HeatMap
from redoubt.center.views.machine import MachinePage, make_machine_page
from redoubt.center.views.overview import Overview, SiteSummary, make_overview, summarise_sites
from redoubt.center.views.sites import SitePage, make_site_page
from redoubt.edge.records.findings import OPEN, FindingFilter
from redoubt.edge.telemetry import Series
from redoubt.model.errors import InputError
from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Register

NEWEST = 6
"""Findings on the first page."""
MAX_HOURS = 24 * 31


async def read_fleet(center: Center, organisation: OrganisationId) -> Fleet:
    """Return all machines. The register is read anew only when its version has grown."""
    register = await center.live.register(center.records, organisation)
    heard = center.latest.columns(organisation, center.clock(), names=HEARD)
    return join_fleet(heard, center.live.roster(organisation, register, heard))


async def read_overview(center: Center, organisation: OrganisationId) -> Overview:
    fleet = await read_fleet(center, organisation)
    findings = center.records.findings
    opened = await asyncio.to_thread(findings.open, organisation)
    counts = await asyncio.to_thread(findings.count_open, organisation)
    page = await asyncio.to_thread(findings.list, organisation, OPEN, limit=NEWEST)
    newest = tuple(finding_row(record, fleet.register) for record in page.findings)
    return make_overview(fleet, opened, counts, newest)


async def read_sites(center: Center, organisation: OrganisationId) -> tuple[SiteSummary, ...]:
    fleet = await read_fleet(center, organisation)
    return summarise_sites(fleet, await read_counts(center, organisation))


async def read_site(center: Center, organisation: OrganisationId, site: str) -> SitePage | None:
    """Return a site's page; None where this organisation has no such site."""
    fleet = await read_fleet(center, organisation)
    summaries = summarise_sites(fleet, await read_counts(center, organisation))
    summary = next((known for known in summaries if known.id == site), None)
    if summary is None:
        return None
    opened = await asyncio.to_thread(center.records.findings.open, organisation, SiteId(site))
    agents = await asyncio.to_thread(center.records.agents.list, organisation)
    return make_site_page(fleet, summary, opened, agents)


async def read_heat_map(center: Center, organisation: OrganisationId, site: str) -> HeatMap | None:
    """Return a site's heat map; None where this organisation has no such site."""
    register = await center.live.register(center.records, organisation)
    if not _has_site(center, register, site):
        return None
    return center.live.heat_map(organisation, register, site, center.clock())


async def read_machine(
    center: Center, organisation: OrganisationId, machine: str
) -> MachinePage | None:
    """Return a machine's page; None where this organisation has no such machine."""
    fleet = await read_fleet(center, organisation)
    place = fleet.place_of(machine)
    if place is None:
        return None
    subject = Subject(SubjectKind.MACHINE, machine)
    page = await asyncio.to_thread(
        center.records.findings.list, organisation, FindingFilter(subject=subject), limit=50
    )
    rows = tuple(finding_row(record, fleet.register) for record in page.findings)
    site = SiteId(fleet.site[place])
    detail = center.latest.detail(organisation, site, MachineId(machine))
    return make_machine_page(fleet, place, detail, rows)


async def read_findings(
    center: Center,
    organisation: OrganisationId,
    wanted: FindingFilter,
    offset: int,
    limit: int,
) -> FindingList:
    register = await center.live.register(center.records, organisation)
    page = await asyncio.to_thread(
        center.records.findings.list, organisation, wanted, offset=offset, limit=limit
    )
    return page_of_findings(page, register, offset, limit)


async def read_finding(
    center: Center, organisation: OrganisationId, finding: str
) -> FindingDetail | None:
    register = await center.live.register(center.records, organisation)
    record = await asyncio.to_thread(center.records.findings.get, organisation, finding)
    return None if record is None else finding_detail(record, register)


async def read_counts(
    center: Center, organisation: OrganisationId
) -> Mapping[tuple[SiteId, Severity], int]:
    return await asyncio.to_thread(center.records.findings.count_open, organisation)


async def read_fleet_series(
    center: Center, organisation: OrganisationId, hours: float, points: int
) -> Series:
    """Return the last `hours` of the whole fleet.

    Raises InputError where that is not between a minute and 31 days; so do the other two.
    """
    start, end = _last(center, hours)
    return await center.telemetry.fleet_series(organisation, start, end, points)


async def read_site_series(
    center: Center, organisation: OrganisationId, site: str, hours: float, points: int
) -> Series | None:
    """Return the last `hours` of a site; None where this organisation has no such site."""
    start, end = _last(center, hours)
    register = await center.live.register(center.records, organisation)
    if not _has_site(center, register, site):
        return None
    return await center.telemetry.site_series(organisation, SiteId(site), start, end, points)


async def read_machine_series(
    center: Center, organisation: OrganisationId, machine: str, hours: float, points: int
) -> Series | None:
    """Return the last `hours` of a machine; None where this organisation has no such machine."""
    start, end = _last(center, hours)
    register = await center.live.register(center.records, organisation)
    registered = next((known.site for known in register.machines if known.id == machine), None)
    site = registered or center.latest.site_of(organisation, MachineId(machine))
    if site is None:
        return None
    return await center.telemetry.machine_series(
        organisation, site, MachineId(machine), start, end, points
    )


def _has_site(center: Center, register: Register, site: str) -> bool:
    heard = center.latest.sites(register.organisation)
    return SiteId(site) in {*(known.id for known in register.sites), *heard}


def _last(center: Center, hours: float) -> tuple[datetime, datetime]:
    if not 1 / 60 <= hours <= MAX_HOURS:
        raise InputError(f"expected hours between 1/60 and {MAX_HOURS}, got {hours}")
    end = center.clock()
    return end - timedelta(hours=hours), end
