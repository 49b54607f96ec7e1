"""Telling a stock Antminer from other firmwares on the same hardware.

Those keep "Antminer" in `Type` and name themselves elsewhere in the same entry.
"""

from __future__ import annotations

from typing import Any

from redoubt.machines._cgminer import first_entry
from redoubt.machines._driver import EXTRACTOR_ERRORS
from redoubt.machines._read import first, word

OTHER_FIRMWARES = (
    "bosminer",
    "boser",
    "braiins",
    "hiveon",
    "luxminer",
    "luxos",
    "marathon",
    "kaonsu",
    "vnish",
    "xminer",
)


def is_stock_antminer(document: Any) -> bool:
    """Whether a reply to `version` comes from Bitmain's own firmware."""
    try:
        entry = first_entry(document, "VERSION")
    except EXTRACTOR_ERRORS:
        return False
    kind = word(first(entry, "Type", "type"))
    words = [each for pair in list(entry.items())[:64] for each in map(word, pair)]
    return "antminer" in kind and not any(
        name in each for name in OTHER_FIRMWARES for each in words
    )
