"""Which differences between two tellings of one finding mean something to a person.

A figure wobbles and an age grows without news. The unit at the end of a key says how far a value
may move before it is worth saying again.
"""

from __future__ import annotations

from redoubt.model.finding import Evidence, Finding, Observation, Scalar

RELATIVE_TOLERANCE = 0.1
"""The part of its last said value by which a figure may move unsaid."""
ABSOLUTE_TOLERANCES: tuple[tuple[str, float], ...] = (
    ("_c", 3.0),
    ("_rpm", 500.0),
    ("_j_per_th", 3.0),
    ("_percent", 5.0),
)
"""By the end of the key: °C, revolutions per minute, J/TH, percent points."""
UNSAID_KEYS: tuple[str, ...] = ("_s", "_at")
"""Ages and times move by themselves."""


def is_news(said: Finding, seen: Observation) -> bool:
    """Whether `seen` says something that a reader of `said` should be told."""
    return (
        said.severity is not seen.severity
        or said.cause != seen.cause
        or [fact.book for fact in said.evidence] != [fact.book for fact in seen.evidence]
        or any(map(_has_moved, said.evidence, seen.evidence))
    )


def _has_moved(said: Evidence, seen: Evidence) -> bool:
    if said.values.keys() != seen.values.keys():
        return True
    return any(_is_beyond(key, value, seen.values[key]) for key, value in said.values.items())


def _is_beyond(key: str, said: Scalar, seen: Scalar) -> bool:
    if said == seen or key.endswith(UNSAID_KEYS):
        return False
    if not isinstance(said, int | float) or not isinstance(seen, int | float):
        return True
    if isinstance(said, bool) or isinstance(seen, bool):
        return True
    for suffix, tolerance in ABSOLUTE_TOLERANCES:
        if key.endswith(suffix):
            return abs(seen - said) > tolerance
    if isinstance(said, int) and isinstance(seen, int) and not key.endswith(_SCALED_UNITS):
        return True
    return abs(seen - said) > RELATIVE_TOLERANCE * abs(said)


_SCALED_UNITS = ("_hs", "_w", "_wh", "_bytes", "machines")
"""Whole numbers that end so are measures, or counts of a crowd; of all others each one counts."""
