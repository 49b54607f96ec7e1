"""What machines of each firmware family say and how to ask them: a folder per family.

A family is one `Driver` value in its folder's `__init__`: calls, fields as (call, extractor),
and how to recognise it. Nothing here opens a socket: calls go out and replies come in through
`redoubt.edge.miner`. `parse_status` turns replies into a `MachineStatus`.

Start with `_driver` (the shape), then the smallest family, `axeos`.
"""

from redoubt.machines._driver import (
    Auth,
    Bounds,
    Cadence,
    Call,
    Driver,
    Endpoint,
    Failure,
    Reply,
    Transport,
)
from redoubt.machines._families import drivers, find_driver, service_ports
from redoubt.machines._parse import Replies, parse_status

__all__ = [
    "Auth",
    "Bounds",
    "Cadence",
    "Call",
    "Driver",
    "Endpoint",
    "Failure",
    "Replies",
    "Reply",
    "Transport",
    "drivers",
    "find_driver",
    "parse_status",
    "service_ports",
]
