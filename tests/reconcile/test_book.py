"""The life of findings: opened once, updated seldom, resolved when judged, restarted alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.finding import (
    Evidence,
    Finding,
    FindingChange,
    FindingEvent,
    Observation,
    Severity,
    Subject,
    SubjectKind,
)
from redoubt.reconcile import BookState, FindingBook, Judgement
from redoubt.reconcile._rule import MachineRule
from redoubt.reconcile.book import MAX_TRACKED, UPDATE_INTERVAL
from tests.reconcile.scenes import NOW, observation, seconds


def rule(name: str, hold_on_s: float = 0, hold_off_s: float = 0) -> MachineRule:
    return MachineRule(
        name=name,
        about="",
        gives="",
        severity=Severity.HIGH,
        hold_on=seconds(hold_on_s),
        hold_off=seconds(hold_off_s),
        judge=lambda *_: None,
    )


RULES = {one.name: one for one in (rule("at_once"), rule("held", 30, 60))}


def round_of(
    *observations: Observation, unjudged: Sequence[tuple[str, str]] = (), blind: Sequence[str] = ()
) -> Judgement:
    return Judgement(
        observations=observations,
        rules=frozenset(RULES),
        unjudged=frozenset((name, subject(who)) for name, who in unjudged),
        blind=frozenset(subject(who) for who in blind),
        status_rules=frozenset({"held"}),
    )


def subject(who: str) -> Subject:
    return Subject(SubjectKind.MACHINE, who)


def at(offset_s: float) -> datetime:
    return NOW + seconds(offset_s)


def held(**changes: Any) -> Observation:
    return observation("held", **changes)


def changes_of(events: Sequence[FindingEvent]) -> list[str]:
    return [event.change.value for event in events]


class TestOpening:
    def test_a_rule_without_hold_on_speaks_at_once(self) -> None:
        (event,) = FindingBook(RULES).apply(round_of(observation("at_once")), NOW)
        assert event.change is FindingChange.OPENED
        assert event.finding.began_at == event.finding.opened_at == NOW

    def test_hold_on_waits_and_tells_when_it_began(self) -> None:
        book = FindingBook(RULES)
        assert book.apply(round_of(held()), at(0)) == []
        assert book.apply(round_of(held()), at(29.9)) == []
        (event,) = book.apply(round_of(held()), at(30))
        assert (event.finding.began_at, event.finding.opened_at) == (at(0), at(30))

    def test_a_break_begins_the_wait_anew(self) -> None:
        book = FindingBook(RULES)
        book.apply(round_of(held()), at(0))
        book.apply(round_of(), at(15))
        assert book.apply(round_of(held()), at(30)) == []
        assert changes_of(book.apply(round_of(held()), at(60))) == ["opened"]

    def test_a_rule_may_know_better_when_it_began(self) -> None:
        (event,) = FindingBook(RULES).apply(round_of(observation("at_once", since=at(-500))), NOW)
        assert event.finding.began_at == at(-500)

    def test_the_graver_of_two_observations_counts(self) -> None:
        low = observation("at_once", severity=Severity.LOW)
        high = observation("at_once", severity=Severity.HIGH)
        for order in ((low, high), (high, low)):
            (event,) = FindingBook(RULES).apply(round_of(*order), NOW)
            assert event.finding.severity is Severity.HIGH

    def test_the_book_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("redoubt.reconcile.book.MAX_TRACKED", 2)
        book = FindingBook(RULES)
        many = [observation("at_once", f"m{name}") for name in range(5)]
        assert len(book.apply(round_of(*many), NOW)) == 2
        assert len(book.findings()) == 2
        assert MAX_TRACKED >= 1000


class TestUpdating:
    def test_the_same_again_is_not_news(self) -> None:
        book = opened()
        for minutes in range(1, 60):
            assert book.apply(round_of(observation("at_once")), at(60 * minutes)) == []

    def test_a_graver_severity_is_said_at_once(self) -> None:
        book = opened()
        graver = observation("at_once", severity=Severity.CRITICAL)
        (event,) = book.apply(round_of(graver), at(1))
        assert event.change is FindingChange.UPDATED
        assert event.finding.severity is Severity.CRITICAL
        assert event.finding.opened_at == NOW

    def test_all_else_waits_five_minutes(self) -> None:
        book = opened()
        milder = observation("at_once", severity=Severity.LOW, cause="other")
        assert book.apply(round_of(milder), at(299)) == []
        assert changes_of(book.apply(round_of(milder), at(300))) == ["updated"]

    @pytest.mark.parametrize(
        ("key", "before", "after", "is_news"),
        [
            ("temp_c", 80.0, 83.0, False),
            ("temp_c", 80.0, 83.1, True),
            ("hashrate_hs", 100, 91, False),
            ("hashrate_hs", 100, 89, True),
            ("fan_1_rpm", 5000, 5400, False),
            ("boards_working", 3, 2, True),
            ("machines", 48, 47, False),
            ("machines", 48, 40, True),
            ("silent_s", 10, 99_999, False),
            ("last_answered_at", "a", "b", False),
            ("address", "10.0.0.1", "10.0.0.2", True),
            ("power_w", None, 5.0, True),
            ("is_ahead", True, False, True),
        ],
    )
    def test_a_figure_is_news_beyond_its_tolerance(
        self, key: str, before: Any, after: Any, is_news: bool
    ) -> None:
        book = opened(evidence=(Evidence("machine", NOW, "", {key: before}),))
        seen = observation("at_once", evidence=(Evidence("machine", at(400), "", {key: after}),))
        assert changes_of(book.apply(round_of(seen), at(400))) == (["updated"] if is_news else [])

    def test_tolerance_is_from_what_was_said_so_a_slow_drift_is_told(self) -> None:
        book = opened(evidence=(Evidence("machine", NOW, "", {"temp_c": 80.0}),))
        said = 0
        for step in range(1, 9):
            fact = Evidence("machine", NOW, "", {"temp_c": 80.0 + step})
            seen = observation("at_once", evidence=(fact,))
            said += len(book.apply(round_of(seen), at(400 * step)))
        assert said == 2


class TestResolving:
    def test_gone_and_judged_is_resolved(self) -> None:
        (event,) = opened().apply(round_of(), at(15))
        assert event.change is FindingChange.RESOLVED
        assert event.finding.resolved_at == at(15)

    def test_hold_off_waits(self) -> None:
        book = open_held()
        assert book.apply(round_of(), at(100)) == []
        assert book.apply(round_of(), at(159)) == []
        assert changes_of(book.apply(round_of(), at(160))) == ["resolved"]

    def test_seen_again_within_hold_off_stays_open_silently(self) -> None:
        book = open_held()
        for step in range(20):
            seen = (held(),) if step % 2 else ()
            assert book.apply(round_of(*seen), at(100 + 30 * step)) == []

    @pytest.mark.parametrize("why", ["unjudged", "blind", "rule not asked"])
    def test_what_could_not_be_judged_is_not_resolved(self, why: str) -> None:
        book = open_held()
        rounds = {
            "unjudged": round_of(unjudged=[("held", "m1")]),
            "blind": round_of(blind=["m1"]),
            "rule not asked": Judgement((), frozenset({"at_once"})),
        }
        for step in range(10):
            assert book.apply(rounds[why], at(1000 * step)) == []
        assert len(book.findings()) == 1

    def test_hold_off_is_counted_anew_after_a_time_of_not_knowing(self) -> None:
        book = open_held()
        book.apply(round_of(), at(100))
        book.apply(round_of(blind=["m1"]), at(130))
        assert book.apply(round_of(), at(170)) == []
        assert changes_of(book.apply(round_of(), at(230))) == ["resolved"]

    def test_what_comes_back_is_opened_again(self) -> None:
        book = opened()
        book.apply(round_of(), at(15))
        (event,) = book.apply(round_of(observation("at_once")), at(30))
        assert (event.change, event.finding.opened_at) == (FindingChange.OPENED, at(30))

    def test_a_rule_that_no_longer_exists_has_nothing_the_matter(self) -> None:
        state = opened().snapshot()
        book = FindingBook.restore(state, {"held": RULES["held"]})
        assert changes_of(book.apply(Judgement((), frozenset({"held"})), at(15))) == ["resolved"]


def opened(**changes: Any) -> FindingBook:
    book = FindingBook(RULES)
    book.apply(round_of(observation("at_once", **changes)), NOW)
    return book


def open_held() -> FindingBook:
    book = FindingBook(RULES)
    book.apply(round_of(held()), at(0))
    assert len(book.apply(round_of(held()), at(30))) == 1
    return book


Round = tuple[float, Judgement]


@st.composite
def rounds(draw: st.DrawFn) -> list[Round]:
    """A history of rounds over three machines and two rules, with gaps in what could be judged."""
    history: list[Round] = []
    now_s = 0.0
    for _ in range(draw(st.integers(1, 25))):
        now_s += draw(st.sampled_from([1.0, 15.0, 40.0, 400.0]))
        seen = []
        for name in RULES:
            for who in ("m1", "m2", "m3"):
                if draw(st.booleans()):
                    temp_c = draw(st.sampled_from([80.0, 82.0, 90.0]))
                    fact = Evidence("machine", at(now_s), "", {"temp_c": temp_c})
                    severity = draw(st.sampled_from([Severity.LOW, Severity.HIGH]))
                    seen.append(observation(name, who, severity, evidence=(fact,)))
        blind = draw(st.lists(st.sampled_from(["m1", "m2", "m3"]), unique=True, max_size=2))
        history.append((now_s, round_of(*seen, blind=blind)))
    return history


def play(book: FindingBook, history: Sequence[Round]) -> list[FindingEvent]:
    return [event for now_s, judgement in history for event in book.apply(judgement, at(now_s))]


@given(rounds())
def test_each_key_lives_by_opened_updated_resolved(history: list[Round]) -> None:
    is_open: Counter[object] = Counter()
    for event in play(FindingBook(RULES), history):
        key = event.finding.key
        match event.change:
            case FindingChange.OPENED:
                is_open[key] += 1
            case FindingChange.UPDATED:
                assert is_open[key] == 1
            case FindingChange.RESOLVED:
                is_open[key] -= 1
        assert is_open[key] in (0, 1), "never two open findings for one rule and subject"


@given(rounds())
def test_the_book_holds_what_its_events_say(history: list[Round]) -> None:
    book = FindingBook(RULES)
    told: dict[tuple[str, Subject], Finding] = {}
    for event in play(book, history):
        if event.change is FindingChange.RESOLVED:
            del told[event.finding.key]
        else:
            told[event.finding.key] = event.finding
    assert book.findings() == tuple(told[key] for key in sorted(told))


@given(rounds(), st.data())
def test_a_restart_changes_nothing(history: list[Round], data: st.DataObject) -> None:
    whole = play(FindingBook(RULES), history)
    cut = data.draw(st.integers(0, len(history)))
    before = FindingBook(RULES)
    first = play(before, history[:cut])
    stored = msgspec.json.decode(msgspec.json.encode(before.snapshot()), type=BookState)
    after = FindingBook.restore(stored, RULES)
    assert first + play(after, history[cut:]) == whole


@given(rounds())
def test_the_order_of_observations_changes_nothing(history: list[Round]) -> None:
    turned = [
        (now_s, msgspec.structs.replace(one, observations=one.observations[::-1]))
        for now_s, one in history
    ]
    assert play(FindingBook(RULES), history) == play(FindingBook(RULES), turned)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_flapping_does_not_spam(seen: list[bool]) -> None:
    """Within any hold-off a held rule opens and resolves at most once each."""
    book = FindingBook(RULES)
    events = play(
        book,
        [
            (15.0 * step, round_of(*([held()] if is_seen else [])))
            for step, is_seen in enumerate(seen)
        ],
    )
    minutes = 15.0 * len(seen) / 60
    assert len(events) <= 2 * (minutes / 1.5 + 1)


@given(st.lists(st.sampled_from(list(Severity)), min_size=1, max_size=100))
def test_updates_of_one_finding_are_rare_whatever_severity_does(course: list[Severity]) -> None:
    book = FindingBook(RULES)
    events = play(
        book,
        [
            (15.0 * step, round_of(observation("at_once", severity=one)))
            for step, one in enumerate(course)
        ],
    )
    spans = timedelta(seconds=15.0 * len(course)) / UPDATE_INTERVAL + 1
    assert len(events) <= 1 + spans * len(Severity)
