"""Sets of whole numbers as spans (first, last), both included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def spans_of(keys: Sequence[int]) -> list[tuple[int, int]]:
    return merge_spans((key, key) for key in keys)


def merge_spans(spans: Iterable[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return sorted spans of whole numbers with neighbours joined."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def close_oldest(spans: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return at most `most` spans, which hold all that the others did and the oldest gaps too."""
    surplus = len(spans) - most
    if surplus <= 0:
        return spans
    return [(spans[0][0], spans[surplus][1]), *spans[surplus + 1 :]]
