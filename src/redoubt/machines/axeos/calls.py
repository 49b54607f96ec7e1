"""What AxeOS is asked. Source: the OpenAPI file in the ESP-Miner repository."""

from __future__ import annotations

from redoubt.machines._driver import Bounds, Cadence, Call, Transport

SERVICES = {"axeos": 80}

CALLS = (
    Call(
        name="system_info",
        transport=Transport.HTTP,
        service="axeos",
        request=b"GET /api/system/info",
        bounds=Bounds(max_bytes=1 << 16),
    ),
    Call(
        name="asic_info",
        transport=Transport.HTTP,
        service="axeos",
        request=b"GET /api/system/asic",
        cadence=Cadence.IDENTITY,
        bounds=Bounds(max_bytes=1 << 14),
    ),
)
