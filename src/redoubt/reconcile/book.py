"""The finding book: observations of each round in, the steps of findings' lives out.

It keeps one finding per (rule, subject). A trouble must last for the rule's hold-on before it is
said, and be gone for the hold-off before it is taken back; what could not be judged changes
nothing. Of an open finding only what means something is said again, and not often.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from redoubt.model.finding import (
    Finding,
    FindingChange,
    FindingEvent,
    Observation,
    Severity,
    Subject,
)
from redoubt.reconcile._rule import Rule
from redoubt.reconcile._tolerance import is_news
from redoubt.reconcile.catalogue import all_rules
from redoubt.reconcile.judge import Judgement

UPDATE_INTERVAL = timedelta(minutes=5)
"""The least time between two updates of one finding; a rise in severity does not wait for it."""
MAX_TRACKED = 50_000
"""How many findings, waiting and open, one book holds; more waits until others are resolved."""

_GRAVITY = {severity: rank for rank, severity in enumerate(reversed(Severity))}
Key = tuple[str, Subject]


class WaitingState(msgspec.Struct, frozen=True):
    """A trouble that has been seen since `seen_since` and isn't a finding yet."""

    rule: str
    subject: Subject
    seen_since: datetime


class OpenState(msgspec.Struct, frozen=True):
    """An open finding as it was last said, at `said_at`; `gone_since` where it is seen no more."""

    finding: Finding
    said_at: datetime
    gone_since: datetime | None = None


class BookState(msgspec.Struct, frozen=True):
    """All that a book holds, sorted by rule and subject; travels as JSON or MessagePack."""

    waiting: tuple[WaitingState, ...] = ()
    open: tuple[OpenState, ...] = ()


class FindingBook:
    """The open findings of one judge: a site's agent, or the center for one organisation."""

    def __init__(self, rules: Mapping[str, Rule] | None = None) -> None:
        self._rules = all_rules() if rules is None else rules
        self._waiting: dict[Key, datetime] = {}
        self._open: dict[Key, OpenState] = {}

    @classmethod
    def restore(cls, state: BookState, rules: Mapping[str, Rule] | None = None) -> FindingBook:
        """Return the book that gave `state`; it goes on as if it had never stopped."""
        book = cls(rules)
        book._waiting = {(entry.rule, entry.subject): entry.seen_since for entry in state.waiting}
        book._open = {entry.finding.key: entry for entry in state.open}
        return book

    def snapshot(self) -> BookState:
        """Return all that the book holds."""
        return BookState(
            waiting=tuple(WaitingState(*key, self._waiting[key]) for key in sorted(self._waiting)),
            open=tuple(self._open[key] for key in sorted(self._open)),
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return the open findings, as last said, sorted by rule and subject."""
        return tuple(self._open[key].finding for key in sorted(self._open))

    def apply(self, judgement: Judgement, now: datetime) -> list[FindingEvent]:
        """Fold in one round and return what is to be said of it, sorted by rule and subject.

        Rounds are given in the order of time. Where a round has two observations of one rule and
        subject, the graver one counts.
        """
        seen = _gravest(judgement.observations)
        events = [self._see(key, seen[key], now) for key in sorted(seen)]
        self._drop_waiting(seen.keys())
        events.extend(
            self._miss(key, judgement, now) for key in sorted(self._open.keys() - seen.keys())
        )
        return [event for event in events if event is not None]

    def _see(self, key: Key, observation: Observation, now: datetime) -> FindingEvent | None:
        entry = self._open.get(key)
        if entry is not None:
            return self._see_again(key, entry, observation, now)
        seen_since = self._waiting.get(key)
        if seen_since is None:
            if len(self._waiting) + len(self._open) >= MAX_TRACKED:
                return None
            seen_since = self._waiting[key] = now
        if now - seen_since < self._hold_on(key[0]):
            return None
        del self._waiting[key]
        finding = _finding(
            observation, began_at=observation.since or seen_since, opened_at=now, now=now
        )
        return self._say(FindingChange.OPENED, finding, now)

    def _see_again(
        self, key: Key, entry: OpenState, observation: Observation, now: datetime
    ) -> FindingEvent | None:
        if entry.gone_since is not None:
            entry = self._open[key] = msgspec.structs.replace(entry, gone_since=None)
        said = entry.finding
        if _GRAVITY[observation.severity] <= _GRAVITY[said.severity] and (
            now - entry.said_at < UPDATE_INTERVAL or not is_news(said, observation)
        ):
            return None
        finding = _finding(observation, began_at=said.began_at, opened_at=said.opened_at, now=now)
        return self._say(FindingChange.UPDATED, finding, now)

    def _miss(self, key: Key, judgement: Judgement, now: datetime) -> FindingEvent | None:
        entry = self._open[key]
        if key[0] not in self._rules:
            return self._say_resolved(key, entry, now)
        if not judgement.is_judged(*key):
            if entry.gone_since is not None:
                self._open[key] = msgspec.structs.replace(entry, gone_since=None)
            return None
        gone_since = entry.gone_since or now
        if now - gone_since >= self._rules[key[0]].hold_off:
            return self._say_resolved(key, entry, now)
        if entry.gone_since is None:
            self._open[key] = msgspec.structs.replace(entry, gone_since=now)
        return None

    def _say(self, change: FindingChange, finding: Finding, now: datetime) -> FindingEvent:
        self._open[finding.key] = OpenState(finding, said_at=now)
        return FindingEvent(change, finding)

    def _say_resolved(self, key: Key, entry: OpenState, now: datetime) -> FindingEvent:
        """Say that it is over. A rule that no longer exists can have nothing the matter."""
        del self._open[key]
        finding = msgspec.structs.replace(entry.finding, resolved_at=now)
        return FindingEvent(FindingChange.RESOLVED, finding)

    def _drop_waiting(self, seen: Collection[Key]) -> None:
        """Waiting is without a break: what isn't seen in a round begins anew."""
        for key in [key for key in self._waiting if key not in seen]:
            del self._waiting[key]

    def _hold_on(self, rule: str) -> timedelta:
        known = self._rules.get(rule)
        return timedelta(0) if known is None else known.hold_on


def _gravest(observations: Iterable[Observation]) -> dict[Key, Observation]:
    gravest: dict[Key, Observation] = {}
    for observation in observations:
        other = gravest.get(observation.key)
        if other is None or _GRAVITY[observation.severity] > _GRAVITY[other.severity]:
            gravest[observation.key] = observation
    return gravest


def _finding(
    observation: Observation, *, began_at: datetime, opened_at: datetime, now: datetime
) -> Finding:
    return Finding(
        rule=observation.rule,
        subject=observation.subject,
        severity=observation.severity,
        title=observation.title,
        cause=observation.cause,
        evidence=observation.evidence,
        confidence=observation.confidence,
        began_at=began_at,
        opened_at=opened_at,
        seen_at=now,
    )
