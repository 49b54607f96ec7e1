"""The list of machines, one machine, and the box that finds one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter
from litestar.response import Redirect, Template

from redoubt.access.principal import Principal
from redoubt.center.context import Center
from redoubt.center.pages.render import link, page, site_names
from redoubt.center.views import gather
from redoubt.center.views.fleet import STATES, Fleet
from redoubt.center.views.machines import (
    LIST_COLUMNS,
    PAGE,
    MachineFilter,
    list_machines,
    pick_machines,
)
from redoubt.center.views.totals import causes_by_machine
from redoubt.model.identity import parse_mac, parse_serial


@get("/machines", include_in_schema=False)
async def machines(
    center: Center,
    principal: Principal,
    site: str = "",
    rack: str = "",
    machine_state: Annotated[str, Parameter(query="state")] = "",
    cause: str = "",
    q: Annotated[str, Parameter(max_length=128)] = "",
    sort: str = "place",
    descending: bool = False,
    offset: Annotated[int, Parameter(ge=0, le=10_000_000)] = 0,
) -> Template:
    """A page of machines, filtered and sorted here."""
    fleet = await gather.read_fleet(center, principal.organisation)
    wanted = MachineFilter(
        site=site,
        rack=rack,
        state=machine_state,
        cause=cause,
        text=q.strip(),
        sort=sort,
        descending=descending,
    )
    causes: dict[str, str] = {}
    if cause:
        opened = await asyncio.to_thread(center.records.findings.open, principal.organisation)
        causes = causes_by_machine(opened)
    listed = list_machines(fleet, pick_machines(fleet, wanted, causes), offset, PAGE)

    def link_to(**changes: Any) -> str:
        return _link(wanted, {"offset": offset, **changes})

    return page(
        "machines.html",
        list=listed,
        wanted=wanted,
        now=fleet.now,
        limit=PAGE,
        total_known=len(fleet),
        states=STATES,
        sites=site_names(fleet.register, set(fleet.site)),
        is_virtual=_is_virtual(fleet, site),
        named=_named,
        link=link_to,
        page_link=lambda start: link_to(offset=start),
    )


@get("/machines/{machine:str}", include_in_schema=False)
async def machine_page(center: Center, principal: Principal, machine: str) -> Template:
    """One machine."""
    view = await gather.read_machine(center, principal.organisation, machine)
    if view is None:
        raise NotFoundException(
            f"no machine is called {machine[:64]!r} here: the search box finds machines by name, "
            "address, serial or MAC"
        )
    return page("machine.html", view=view)


@get("/search", include_in_schema=False)
async def search(
    center: Center, principal: Principal, q: Annotated[str, Parameter(max_length=128)] = ""
) -> Redirect:
    """Jump to the one machine that is meant, or to the list of those that may be."""
    fleet = await gather.read_fleet(center, principal.organisation)
    found = find_machine(fleet, q.strip())
    target = f"/machines/{quote(found, safe='')}" if found else link("/machines", q=q.strip())
    return Redirect(target, status_code=303)


def find_machine(fleet: Fleet, text: str) -> str | None:
    """Return the one machine of exactly this id, address, serial or MAC; None where not one is."""
    serial, mac = parse_serial(text), parse_mac(text)
    found = {
        machine
        for machine, address in zip(fleet.machine, fleet.address, strict=True)
        if text and text in (machine, address)
    }
    found |= {
        machine.id
        for machine in fleet.register.machines
        if (serial and parse_serial(machine.serial) == serial)
        or (mac and parse_mac(machine.mac) == mac)
    }
    return found.pop() if len(found) == 1 else None


def _link(wanted: MachineFilter, changes: dict[str, Any]) -> str:
    query = msgspec.structs.asdict(wanted) | changes
    query["q"] = query.pop("text")
    if query["sort"] == "place":
        query["sort"] = ""
    return link("/machines", **query)


def _named(row: tuple[Any, ...]) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(LIST_COLUMNS, row, strict=True)))


def _is_virtual(fleet: Fleet, site: str) -> bool:
    return any(known.virtual for known in fleet.register.sites if site in ("", known.id))


route_handlers = (machines, machine_page, search)
