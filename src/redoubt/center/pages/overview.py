"""The first page."""

from __future__ import annotations

from litestar import get
from litestar.response import Template

from redoubt.access.principal import Principal
from redoubt.center.context import Center
from redoubt.center.pages.render import page
from redoubt.center.views import gather
from redoubt.center.views.overview import sentence


@get("/", include_in_schema=False)
async def overview(center: Center, principal: Principal) -> Template:
    """Is the mine earning what it should, and if not, why?"""
    view = await gather.read_overview(center, principal.organisation)
    return page("overview.html", view=view, sentence=sentence(view))


route_handlers = (overview,)
