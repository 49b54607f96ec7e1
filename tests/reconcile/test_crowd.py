"""What many machines have at once is told once, and what was told of single ones stays true."""

from __future__ import annotations

from typing import Any

from redoubt.model.finding import Subject, SubjectKind
from redoubt.model.ids import MachineId
from redoubt.reconcile import FindingBook, MachineView, judge_site
from tests.reconcile.scenes import (
    NOW,
    healthy,
    judged,
    machine,
    registered,
    seconds,
    silent,
    site,
)

BUNKER = Subject(SubjectKind.SITE, "bunker")


def lax(count: int, first: int = 0) -> list[MachineView]:
    """Machines that took their factory password."""
    return [one(name, factory_password=True) for name in range(first, first + count)]


def one(name: int, **changes: Any) -> MachineView:
    who = MachineId(f"m{name:03}")
    at = f"10.0.1.{name}"
    return machine(
        machine=who,
        address=at,
        registered=registered(id=who, address=at),
        status=healthy(address=at),
        **changes,
    )


def test_ten_are_told_one_by_one() -> None:
    seen = judged("factory_password", site(*lax(10), one(99)))
    assert [str(found.subject) for found in seen] == [f"machine:m{name:03}" for name in range(10)]


def test_eleven_are_told_once_for_the_site() -> None:
    (seen,) = judged("factory_password", site(*lax(11), one(99)))
    assert seen.subject == BUNKER
    assert seen.title == "11 machines still have their factory password"
    assert seen.evidence[0].values == {"machines": 11}
    assert seen.evidence[0].text.startswith("m000, m001, ")


def test_a_large_crowd_is_named_in_part() -> None:
    (seen,) = judged("factory_password", site(*lax(50)))
    assert seen.evidence[0].text.endswith("m019 and 30 more")


def test_rules_without_a_crowd_speak_of_each() -> None:
    views = [one(name) for name in range(40)]
    dark = [
        silent(machine=view.machine, since=NOW - seconds(90_000 * (i + 1)))
        for i, view in enumerate(views)
    ]
    assert len(judged("machine_offline", site(*dark))) == 40


def test_findings_that_are_open_stay_when_a_crowd_gathers() -> None:
    book = FindingBook()
    few, many = site(*lax(3), one(99)), site(*lax(20), one(99))
    for at_s in (0, 60):
        book.apply(judge_site(few, NOW + seconds(at_s)), NOW + seconds(at_s))
    events = []
    for at_s in (120, 180, 240):
        now = NOW + seconds(at_s)
        events += book.apply(judge_site(many, now), now)
    told = [
        (event.change.value, str(event.finding.subject))
        for event in events
        if event.finding.rule == "factory_password"
    ]
    assert told == [("opened", "site:bunker")]


def test_a_crowd_is_over_once_it_is_small() -> None:
    judgement = judge_site(site(*lax(3), one(99)), NOW)
    assert judgement.is_judged("factory_password", BUNKER)


def test_a_crowd_that_cannot_be_seen_is_not_over() -> None:
    dark = [silent(machine=MachineId(f"m{name:03}"), misses=1) for name in range(20)]
    judgement = judge_site(site(*lax(3, 50), *dark), NOW)
    assert not judgement.is_judged("factory_password", BUNKER)
