"""How full a disk may be; the site's and the center's rule share it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from redoubt.model.finding import Evidence, Severity
from redoubt.reconcile._rule import UNJUDGED, Trouble, Verdict
from redoubt.reconcile.views import DiskView


class DiskLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least that should be free, as a share and in bytes: enough of one of them is enough.

    `low_*` leaves days to act, `critical_*` hours.
    """

    low_share: float = 0.10
    low_bytes: int = 20 * 1024**3
    critical_share: float = 0.03
    critical_bytes: int = 2 * 1024**3


def judge_disk(
    disk: DiskView | None,
    now: datetime,
    limits: DiskLimits,
    fact: Callable[..., Evidence],
) -> Verdict:
    """Return the trouble of a disk; `fact` makes the evidence of whose disk it is."""
    if disk is None or disk.total_bytes <= 0:
        return UNJUDGED
    share = disk.free_bytes / disk.total_bytes
    if share >= limits.low_share or disk.free_bytes >= limits.low_bytes:
        return None
    is_critical = share < limits.critical_share and disk.free_bytes < limits.critical_bytes
    free_gb = disk.free_bytes / 1e9
    evidence = fact(
        now,
        f"{free_gb:.1f} of {disk.total_bytes / 1e9:.1f} GB free",
        free_bytes=disk.free_bytes,
        total_bytes=disk.total_bytes,
    )
    severity = Severity.CRITICAL if is_critical else Severity.MEDIUM
    return Trouble(severity, f"{free_gb:.1f} GB of disk left ({share:.0%})", "disk", (evidence,))
