"""Ids are short strings, each of its own type, so that a rack cannot be taken for a machine."""

from __future__ import annotations

import re
from typing import NewType

from redoubt.model.errors import InputError

OrganisationId = NewType("OrganisationId", str)
SiteId = NewType("SiteId", str)
BuildingId = NewType("BuildingId", str)
RackId = NewType("RackId", str)
MachineId = NewType("MachineId", str)
OwnerId = NewType("OwnerId", str)
PoolId = NewType("PoolId", str)
UserId = NewType("UserId", str)

UNPLACED = RackId("")
"""The rack of a machine that has no place yet."""

MAX_ID_LENGTH = 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_id(value: str, what: str = "id") -> str:
    """Return `value` if it can be an id: 1 to 64 letters, digits, '.', '_' or '-'.

    Raises InputError otherwise. The set is small so that an id is safe in a path, a URL and a page.
    """
    if len(value) <= MAX_ID_LENGTH and _ID.fullmatch(value):
        return value
    raise InputError(
        f"expected {what} of 1 to {MAX_ID_LENGTH} letters, digits, '.', '_' or '-' "
        f"that begins with a letter or digit, got {value[:80]!r}"
    )
