"""Telling AxeOS from other things that answer on port 80."""

from __future__ import annotations

from typing import Any


def is_axeos(document: Any) -> bool:
    """Whether a reply to `/api/system/info` has the keys that every version of AxeOS has had."""
    if not isinstance(document, dict):
        return False
    return "ASICModel" in document and ("hashRate" in document or "stratumURL" in document)
