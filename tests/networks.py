"""Loopback ranges for virtual machines: each test process has its own, so that none collide."""

from __future__ import annotations

import os


def own_network(second_octet: int) -> str:
    """Return a /24 of 127.<second_octet>.0.0/16 that no other worker of this run uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return f"127.{second_octet}.{int(worker)}.0/24"
