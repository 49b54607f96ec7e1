"""The reading side of the API under /api/v1: the same view models as the pages, as JSON."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import Parameter

from redoubt.access.principal import Principal, Scope
from redoubt.center.context import Center
from redoubt.center.views import gather
from redoubt.center.views.findings import FindingDetail, FindingList
from redoubt.center.views.heatmap import HeatMap
from redoubt.center.views.machine import MachinePage
from redoubt.center.views.machines import MachineFilter, MachineRows, list_machines, pick_machines
from redoubt.center.views.overview import Overview, SiteSummary
from redoubt.center.views.totals import causes_by_machine
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.records.findings import FindingFilter
from redoubt.edge.telemetry import Series
from redoubt.model.finding import Severity
from redoubt.model.ids import SiteId

Offset = Annotated[int, Parameter(ge=0, le=10_000_000)]
Limit = Annotated[int, Parameter(ge=1, le=20_000)]
Points = Annotated[int, Parameter(ge=1, le=2_000)]
MAX_BODY_BYTES = 16 * 1024


class Acknowledgement(msgspec.Struct, frozen=True):
    """`note` is for colleagues: at most 2,000 characters."""

    note: str = ""


@get("/api/v1/overview")
async def get_overview(center: Center, principal: Principal) -> Response[Overview]:
    """The whole mine now: hashrate against expected, causes, power, findings, sites."""
    return _json(await gather.read_overview(center, principal.organisation))


@get("/api/v1/sites")
async def get_sites(center: Center, principal: Principal) -> Response[tuple[SiteSummary, ...]]:
    """Every site in one line."""
    return _json(await gather.read_sites(center, principal.organisation))


@get("/api/v1/sites/{site:str}/heatmap")
async def get_heat_map(center: Center, principal: Principal, site: str) -> Response[HeatMap]:
    """A site's racks and cells, in columns. Live changes are at /live/sites/{site}."""
    found = await gather.read_heat_map(center, principal.organisation, site)
    return _json(_found(found, "site", site))


@get("/api/v1/sites/{site:str}/series")
async def get_site_series(
    center: Center, principal: Principal, site: str, hours: float = 24, points: Points = 300
) -> Response[Series]:
    """A site's last hours from its minute roll-ups."""
    found = await gather.read_site_series(center, principal.organisation, site, hours, points)
    return _json(_found(found, "site", site))


@get("/api/v1/series")
async def get_fleet_series(
    center: Center, principal: Principal, hours: float = 24, points: Points = 300
) -> Response[Series]:
    """The whole fleet's last hours from its minute roll-ups."""
    return _json(await gather.read_fleet_series(center, principal.organisation, hours, points))


@get("/api/v1/machines")
async def get_machines(
    center: Center,
    principal: Principal,
    site: str = "",
    rack: str = "",
    machine_state: Annotated[str, Parameter(query="state")] = "",
    cause: str = "",
    q: str = "",
    sort: str = "place",
    descending: bool = False,
    offset: Offset = 0,
    limit: Limit = 10_000,
) -> Response[MachineRows]:
    """The latest state of machines in list form: `columns` names what each of `rows` holds."""
    fleet = await gather.read_fleet(center, principal.organisation)
    wanted = MachineFilter(
        site=site,
        rack=rack,
        state=machine_state,
        cause=cause,
        text=q,
        sort=sort,
        descending=descending,
    )
    causes: dict[str, str] = {}
    if cause:
        opened = await asyncio.to_thread(center.records.findings.open, principal.organisation)
        causes = causes_by_machine(opened)
    return _json(list_machines(fleet, pick_machines(fleet, wanted, causes), offset, limit))


@get("/api/v1/machines/{machine:str}")
async def get_machine(center: Center, principal: Principal, machine: str) -> Response[MachinePage]:
    """One machine with its full status, the source of each field, its findings and raw replies."""
    found = await gather.read_machine(center, principal.organisation, machine)
    return _json(_found(found, "machine", machine))


@get("/api/v1/machines/{machine:str}/series")
async def get_machine_series(
    center: Center, principal: Principal, machine: str, hours: float = 24, points: Points = 300
) -> Response[Series]:
    """One machine's last hours in at most `points` equal steps; a gap is null."""
    found = await gather.read_machine_series(center, principal.organisation, machine, hours, points)
    return _json(_found(found, "machine", machine))


@get("/api/v1/findings")
async def get_findings(
    center: Center,
    principal: Principal,
    site: str | None = None,
    finding_state: Annotated[str, Parameter(query="state", pattern="open|resolved|all")] = "open",
    severity: Severity | None = None,
    rule: str | None = None,
    cause: str | None = None,
    q: str | None = None,
    offset: Offset = 0,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
) -> Response[FindingList]:
    """Findings, the gravest first."""
    wanted = FindingFilter(
        site=None if site is None else SiteId(site),
        is_open={"open": True, "resolved": False}.get(finding_state),
        severities=() if severity is None else (severity,),
        rule=rule,
        cause=cause,
        text=q,
    )
    return _json(await gather.read_findings(center, principal.organisation, wanted, offset, limit))


@get("/api/v1/findings/{finding:str}")
async def get_finding(
    center: Center, principal: Principal, finding: str
) -> Response[FindingDetail]:
    """One finding with its evidence."""
    found = await gather.read_finding(center, principal.organisation, finding)
    return _json(_found(found, "finding", finding))


@post(
    "/api/v1/findings/{finding:str}/acknowledge",
    scope=Scope.FINDINGS_ACK,
    status_code=200,
    request_max_body_size=MAX_BODY_BYTES,
)
async def post_acknowledge(
    center: Center, principal: Principal, finding: str, data: Acknowledgement
) -> Response[FindingDetail]:
    """Note that somebody has seen a finding. Only evidence resolves it."""
    return _json(await acknowledge(center, principal, finding, data.note))


async def acknowledge(
    center: Center, principal: Principal, finding: str, note: str
) -> FindingDetail:
    """Acknowledge for a principal, and note in the audit log that they did.

    Raises NotFoundException where this organisation has no such finding, InputError where the
    note is too long.
    """
    organisation, now = principal.organisation, center.clock()
    known = await gather.read_finding(center, organisation, finding)
    _found(known, "finding", finding)
    await asyncio.to_thread(
        center.records.findings.acknowledge, organisation, finding, principal.name, note, now
    )
    entry = AuditEntry(
        at=now, who=principal.who, action="finding.acknowledge", object=f"finding:{finding}"
    )
    await asyncio.to_thread(center.records.audit.add, organisation, entry)
    seen: FindingDetail = _found(
        await gather.read_finding(center, organisation, finding), "finding", finding
    )
    return seen


def _json(value: Any) -> Response[Any]:
    """Encoded here: at 10,000 rows the framework's own detours cost more than the encoding."""
    return Response(msgspec.json.encode(value), media_type="application/json")


def _found(value: Any, what: str, name: str) -> Any:
    if value is None:
        raise NotFoundException(f"no {what} {name[:64]!r} here")
    return value


route_handlers = (
    get_overview,
    get_sites,
    get_heat_map,
    get_site_series,
    get_fleet_series,
    get_machines,
    get_machine,
    get_machine_series,
    get_findings,
    get_finding,
    post_acknowledge,
)
