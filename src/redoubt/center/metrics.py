"""/metrics for Prometheus (text format 0.0.4): sums per site; no wallet, no serial, no address.

From loopback, and asked for by a name of loopback, nobody has to sign in and every organisation is
told; from elsewhere a token with the scope `metrics` sees its own. Behind a proxy everything comes
from loopback, so there a token is always needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException

from redoubt.access.principal import Principal, Scope
from redoubt.center.context import Center
from redoubt.center.latest import SiteTotals
from redoubt.center.settings import is_loopback
from redoubt.edge.inbox import InboxState
from redoubt.model.finding import Severity
from redoubt.model.ids import OrganisationId, SiteId

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

Labels = tuple[tuple[str, str], ...]
Line = tuple[str, Labels, float]

HELP = {
    "redoubt_site_machines": "Machines of a site by state.",
    "redoubt_site_hashrate_hs": "Hashes per second that a site's machines claim, fresh ones only.",
    "redoubt_site_hashrate_nominal_hs": "Hashes per second by the makers' figures.",
    "redoubt_site_power_w": "Watts of a site's machines, measured, claimed or estimated.",
    "redoubt_site_newest_sample_timestamp_seconds": "When the newest sample of a site was taken.",
    "redoubt_findings_open": "Open findings by site and severity.",
    "redoubt_inbox_batches": "Batches that wait in the inbox.",
    "redoubt_inbox_rows": "Rows that wait in the inbox.",
    "redoubt_mover_rows_total": "Rows carried on to the telemetry store since the start.",
    "redoubt_mover_failures_total": "Times that the telemetry store could not be written.",
}


@get("/metrics", public=True, include_in_schema=False, media_type=MediaType.TEXT)
async def get_metrics(center: Center, request: Request[Any, Any, Any]) -> Response[str]:
    """Figures for Prometheus."""
    principal = _whose(center, request)
    if principal is None:
        known = await asyncio.to_thread(center.records.people.organisations)
        lines = list(_center_lines(center, await center.inbox.state()))
        organisations = [organisation.id for organisation in known]
    else:
        lines, organisations = [], [principal.organisation]
    now = center.clock()
    for organisation in organisations:
        totals = center.latest.totals(organisation, now)
        findings = await asyncio.to_thread(center.records.findings.count_open, organisation)
        lines.extend(_site_lines(organisation, totals))
        lines.extend(_finding_lines(organisation, findings))
    return Response(render(lines), media_type=CONTENT_TYPE)


def _whose(center: Center, request: Request[Any, Any, Any]) -> Principal | None:
    """Return whose figures may be told; None means everybody's."""
    principal = request.user
    if isinstance(principal, Principal):
        if not principal.may(Scope.METRICS):
            raise PermissionDeniedException(f"this needs the scope {Scope.METRICS.value!r}")
        return principal
    peer = request.client.host if request.client else ""
    # The name that a browser was led by tells a page that rebinds its name to us from a scraper.
    is_direct = (
        not center.settings.public_url
        and is_loopback(_host_name(request.headers.get("host", "")))
        and not any(name in request.headers for name in _FORWARDED)
    )
    if is_loopback(peer) and is_direct and "authorization" not in request.headers:
        return None
    raise NotAuthorizedException(f"send an API token with the scope {Scope.METRICS.value!r}")


def _host_name(header: str) -> str:
    """Return the host of a Host header, without its port and an IPv6 address's brackets."""
    host = header.strip().lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _center_lines(center: Center, inbox: InboxState) -> Iterator[Line]:
    yield "redoubt_inbox_batches", (), inbox.batches
    yield "redoubt_inbox_rows", (), inbox.rows
    yield "redoubt_mover_rows_total", (), center.mover_figures.rows
    yield "redoubt_mover_failures_total", (), center.mover_figures.failures


def _site_lines(organisation: OrganisationId, totals: dict[SiteId, SiteTotals]) -> Iterator[Line]:
    for site, total in totals.items():
        labels = (("organisation", organisation), ("site", site))
        for state, count in total.states.items():
            yield "redoubt_site_machines", (*labels, ("state", state)), count
        newest_s = None if total.newest_at_ms is None else total.newest_at_ms / 1000
        for name, value in (
            ("redoubt_site_hashrate_hs", total.hashrate_hs),
            ("redoubt_site_hashrate_nominal_hs", total.hashrate_nominal_hs),
            ("redoubt_site_power_w", total.power_w),
            ("redoubt_site_newest_sample_timestamp_seconds", newest_s),
        ):
            if value is not None:
                yield name, labels, value


def _finding_lines(
    organisation: OrganisationId, counts: dict[tuple[SiteId, Severity], int]
) -> Iterator[Line]:
    for (site, severity), count in counts.items():
        labels = (("organisation", organisation), ("site", site), ("severity", severity.value))
        yield "redoubt_findings_open", labels, count


def render(lines: Iterable[Line]) -> str:
    """Return the exposition: samples of one metric together, each metric with its help."""
    by_name: dict[str, list[str]] = {}
    for name, labels, value in lines:
        words = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
        by_name.setdefault(name, []).append(
            f"{name}{{{words}}} {value!r}" if words else f"{name} {value!r}"
        )
    out: list[str] = []
    for name, samples in by_name.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        out += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}", *samples]
    return "\n".join(out) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


route_handlers = (get_metrics,)
