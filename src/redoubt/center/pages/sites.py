"""The list of sites, and one site with its heat map."""

from __future__ import annotations

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.response import Template

from redoubt.access.principal import Principal
from redoubt.center.context import Center
from redoubt.center.pages.render import page
from redoubt.center.views import gather


@get("/sites", include_in_schema=False)
async def sites(center: Center, principal: Principal) -> Template:
    """Every site in one line."""
    found = await gather.read_sites(center, principal.organisation)
    return page("sites.html", sites=found, now=center.clock())


@get("/sites/{site:str}", include_in_schema=False)
async def site_page(center: Center, principal: Principal, site: str) -> Template:
    """One site: its figures, and its racks live on a canvas."""
    view = await gather.read_site(center, principal.organisation, site)
    if view is None:
        raise NotFoundException(
            f"no site is called {site[:64]!r} here: the list of sites has those that you may see"
        )
    return page("site.html", view=view)


route_handlers = (sites, site_page)
