"""What a full spool gives up, and in what order.

Old machine details go first (the center keeps only a machine's last ones), then telemetry thins to
minutes, then its oldest minutes go. Findings are never dropped. A key never gets another body:
thinned telemetry takes a new key, and a batch that was ever offered to the center is never thinned,
because the center may hold it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from redoubt.edge.batches import BatchKind
from redoubt.edge.spool_file import Draft, SpoolFile, from_milliseconds
from redoubt.edge.thinning import thin_samples
from redoubt.model.errors import RemoteProtocolError

_DETAILS_KEPT_MS = 120_000
_MINUTE_MS = 60_000
_FOREVER_MS = 1 << 62


class SpoolStep(msgspec.Struct, frozen=True):
    """One step taken to stay under the limit; `rows` were thinned away or dropped by it."""

    what: Literal["details_dropped", "samples_thinned", "minutes_dropped"]
    batches: int
    rows: int


def shrink(file: SpoolFile, target: int, epoch: str) -> tuple[SpoolStep, ...]:
    """Free until the file holds `target` bytes, or nothing is left that may go.

    Raises ServiceError where the disk fails; what was done until then stays done.
    """
    steps: list[SpoolStep] = []
    if file.used_bytes() > target:
        steps.append(_drop_details(file, target))
    if file.used_bytes() > target:
        steps.append(_thin(file, target, epoch))
    if file.used_bytes() > target:
        steps.append(_drop(file, "minutes_dropped", BatchKind.SAMPLES, _FOREVER_MS, target))
    return tuple(step for step in steps if step.batches)


def _drop_details(file: SpoolFile, target: int) -> SpoolStep:
    query = "SELECT max(at_ms) FROM batches WHERE kind = ?"
    newest_ms = next(file.query(query, (BatchKind.DETAILS,)))[0] or 0
    before_ms = newest_ms - _DETAILS_KEPT_MS
    return _drop(file, "details_dropped", BatchKind.DETAILS, before_ms, target)


def _drop(
    file: SpoolFile,
    what: Literal["details_dropped", "minutes_dropped"],
    kind: BatchKind,
    before_ms: int,
    target: int,
) -> SpoolStep:
    """Delete the oldest batches of a kind until the file is at about `target` bytes."""
    excess = file.used_bytes() - target
    chosen: list[tuple[int]] = []
    rows = 0
    query = "SELECT seq, rows, size FROM batches WHERE kind = ? AND at_ms < ? ORDER BY at_ms"
    for seq, count, size in file.query(query, (kind, before_ms)):
        if excess <= 0:
            break
        chosen.append((seq,))
        rows += count
        excess -= size
    with file.transaction():
        file.change("DELETE FROM batches WHERE seq = ?", chosen)
        if kind is BatchKind.SAMPLES:
            file.count_up("rows_lost", rows)
    return SpoolStep(what, len(chosen), rows)


def _thin(file: SpoolFile, target: int, epoch: str) -> SpoolStep:
    """Thin the oldest minutes that were never offered, one minute per transaction."""
    batches = rows = 0
    while file.used_bytes() > target:
        window = _oldest_minute(file)
        if not window:
            break
        lost = _thin_window(file, window, epoch)
        if lost:
            batches += len(window)
            rows += lost
    return SpoolStep("samples_thinned", batches, rows)


def _oldest_minute(file: SpoolFile) -> list[int]:
    query = (
        "SELECT seq, at_ms FROM batches WHERE kind = ? AND thinned = 0 AND seq > ? "
        "ORDER BY at_ms LIMIT 1000"
    )
    found = list(file.query(query, (BatchKind.SAMPLES, file.number("offered"))))
    return [seq for seq, at_ms in found if at_ms // _MINUTE_MS == found[0][1] // _MINUTE_MS]


def _thin_window(file: SpoolFile, window: Sequence[int], epoch: str) -> int:
    """Replace batches of one minute by their thin form; return how many rows that cost."""
    query = "SELECT body, rows, at_ms FROM batches WHERE seq = ?"
    found = [next(file.query(query, (seq,))) for seq in window]
    rows = sum(int(count) for _, count, _ in found)
    try:
        thin, kept = thin_samples([body for body, _, _ in found])
    except RemoteProtocolError:
        # Damaged on the disk: it stays as it is, and will be put aside when its turn comes.
        thin, kept = b"", rows
    numbers = [(seq,) for seq in window]
    with file.transaction():
        if kept == rows:
            file.change("UPDATE batches SET thinned = 1 WHERE seq = ?", numbers)
            return 0
        file.change("DELETE FROM batches WHERE seq = ?", numbers)
        began_at = from_milliseconds(min(at_ms for _, _, at_ms in found))
        file.insert(Draft(BatchKind.SAMPLES, kept, thin, began_at), epoch, thinned=True)
        file.count_up("rows_lost", rows - kept)
    return rows - kept
