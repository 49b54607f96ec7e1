"""Telling a WhatsMiner with API 3 from anything else."""

from __future__ import annotations

from typing import Any


def is_whatsminer_v3(document: Any) -> bool:
    """Whether a reply to `get.device.info` has the shape that only this API gives."""
    if not isinstance(document, dict) or document.get("desc") != "get.device.info":
        return False
    message = document.get("msg")
    return isinstance(message, dict) and ("miner" in message or "system" in message)
