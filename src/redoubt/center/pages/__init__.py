"""The pages of the control room: handlers that fetch a view model and name its template.

Everything a page shows comes from `redoubt.center.views`; templates only lay it out, and what must
stay fresh is fetched again by htmx at each tick of `/live/ticks`. Start with `overview`.
"""

from redoubt.center.pages import about, findings, machines, overview, sites

route_handlers = (
    *overview.route_handlers,
    *sites.route_handlers,
    *machines.route_handlers,
    *findings.route_handlers,
    *about.route_handlers,
)

__all__ = ["route_handlers"]
