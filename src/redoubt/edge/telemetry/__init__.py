"""The telemetry store: every sample of every machine, and minute roll-ups from the first day.

The dialect is ClickHouse's. Embedded it is chDB in this process; a ClickHouse server is only
another connection (`http://…` in place of a folder), same client, tables and queries.

Start with `schema` (tables and why they look so), then `rows` (Arrow in, what is rolled up),
`queries` (series out), `store` (one connection) and `facade` (`Telemetry`, the async face that the
center uses: one thread owns the connection).
"""

from redoubt.edge.telemetry.facade import Telemetry
from redoubt.edge.telemetry.queries import MACHINE_MEASURES, PLACE_MEASURES, Series
from redoubt.edge.telemetry.rows import SiteRows
from redoubt.edge.telemetry.schema import Retention
from redoubt.edge.telemetry.store import StoreRefused

__all__ = [
    "MACHINE_MEASURES",
    "PLACE_MEASURES",
    "Retention",
    "Series",
    "SiteRows",
    "StoreRefused",
    "Telemetry",
]
