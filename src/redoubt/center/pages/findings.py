"""Findings: the list, one with its evidence, and the button that says "I have seen it"."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, Parameter
from litestar.response import Redirect, Template

from redoubt.access.principal import Principal, Scope
from redoubt.center.context import Center
from redoubt.center.pages.render import link, page, site_names
from redoubt.center.read_api import acknowledge
from redoubt.center.views import gather
from redoubt.edge.records.findings import FindingFilter
from redoubt.model.errors import InputError
from redoubt.model.finding import Severity
from redoubt.model.ids import SiteId

PAGE = 100
MAX_FORM_BYTES = 32 * 1024
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the form above the list asks for; "" means any."""

    state: str = "open"
    severity: str = ""
    site: str = ""
    rule: str = ""
    q: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether nothing but what is open is asked for."""
        return self == Wanted()

    def as_filter(self) -> FindingFilter:
        """Raises InputError on a word that is none."""
        if self.state not in ("open", "resolved", "all"):
            raise InputError(f"expected state open, resolved or all, got {self.state[:40]!r}")
        if self.severity not in ("", *Severity):
            known = ", ".join(Severity)
            raise InputError(f"expected a severity of {known}, got {self.severity[:40]!r}")
        return FindingFilter(
            site=SiteId(self.site) if self.site else None,
            is_open={"open": True, "resolved": False}.get(self.state),
            severities=(Severity(self.severity),) if self.severity else (),
            rule=self.rule or None,
            text=self.q or None,
        )


@get("/findings", include_in_schema=False)
async def findings(
    center: Center,
    principal: Principal,
    finding_state: Annotated[str, Parameter(query="state")] = "open",
    severity: str = "",
    site: str = "",
    rule: str = "",
    q: Annotated[str, Parameter(max_length=128)] = "",
    offset: Annotated[int, Parameter(ge=0, le=10_000_000)] = 0,
) -> Template:
    """Findings, the gravest first."""
    wanted = Wanted(state=finding_state, severity=severity, site=site, rule=rule, q=q.strip())
    listed = await gather.read_findings(
        center, principal.organisation, wanted.as_filter(), offset, PAGE
    )
    register = await center.live.register(center.records, principal.organisation)

    def link_to(start: int = offset) -> str:
        query: dict[str, Any] = msgspec.structs.asdict(wanted) | {"offset": start}
        if wanted.state == "open":
            del query["state"]
        return link("/findings", **query)

    return page(
        "findings.html",
        list=listed,
        wanted=wanted,
        now=center.clock(),
        limit=PAGE,
        severities=[severity.value for severity in Severity],
        sites=site_names(register),
        link=link_to,
        page_link=link_to,
    )


@get("/findings/{finding:str}", include_in_schema=False)
async def finding_page(center: Center, principal: Principal, finding: str) -> Template:
    """One finding with its evidence."""
    view = await gather.read_finding(center, principal.organisation, finding)
    if view is None:
        raise NotFoundException(f"no finding is called {finding[:64]!r} here")
    return page(
        "finding.html",
        view=view,
        now=center.clock(),
        may_acknowledge=principal.may(Scope.FINDINGS_ACK),
    )


@post(
    "/findings/{finding:str}/acknowledge",
    scope=Scope.FINDINGS_ACK,
    status_code=303,
    include_in_schema=False,
    request_max_body_size=MAX_FORM_BYTES,
)
async def acknowledge_form(
    center: Center, principal: Principal, finding: str, data: Form
) -> Redirect:
    """Note who has seen it, and what they wrote."""
    await acknowledge(center, principal, finding, data.get("note", ""))
    return Redirect(f"/findings/{finding}", status_code=303)


route_handlers = (findings, finding_page, acknowledge_form)
