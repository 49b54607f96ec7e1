"""What a WhatsMiner is asked: all at every poll, since its errors come with the device's info."""

from __future__ import annotations

from redoubt.machines._driver import Bounds, Call, Transport

SERVICES = {"whatsminer_v3": 4433}


def _call(name: str, request: bytes) -> Call:
    return Call(
        name=name,
        transport=Transport.WHATSMINER_V3,
        service="whatsminer_v3",
        request=request,
        bounds=Bounds(max_bytes=1 << 17),
    )


CALLS = (
    _call("get_device_info", b'{"cmd":"get.device.info"}'),
    _call("get_miner_status_summary", b'{"cmd":"get.miner.status","param":"summary"}'),
    _call("get_miner_status_pools", b'{"cmd":"get.miner.status","param":"pools"}'),
    _call("get_miner_status_edevs", b'{"cmd":"get.miner.status","param":"edevs"}'),
)
