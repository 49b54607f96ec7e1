"""Telling a stock Antminer from other firmwares on the same hardware.

Those keep "Antminer" in `Type` and name themselves elsewhere in the same entry.
"""

from __future__ import annotations

from typing import Any

from redoubt.machines._cgminer import first_entry
from redoubt.machines._driver import EXTRACTOR_ERRORS

OTHER_FIRMWARES = (
    "bosminer",
    "boser",
    "braiins",
    "hiveon",
    "luxminer",
    "luxos",
    "marathon",
    "mara",
    "vnish",
    "xminer",
)


def is_stock_antminer(document: Any) -> bool:
    """Whether a reply to `version` comes from Bitmain's own firmware."""
    try:
        entry = first_entry(document, "VERSION")
    except EXTRACTOR_ERRORS:
        return False
    kind = str(entry.get("Type") or entry.get("type") or "").lower()
    words = " ".join(f"{key} {value}" for key, value in list(entry.items())[:32]).lower()[:4096]
    return "antminer" in kind and not any(name in words for name in OTHER_FIRMWARES)
