"""What a site as a whole shows: outages of groups, and the agent's own troubles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from redoubt.model.finding import Severity, Subject, SubjectKind
from redoubt.model.ids import MachineId, RackId
from redoubt.reconcile import (
    AgentView,
    DiskView,
    MachineView,
    ScanView,
    SiteView,
    SpoolView,
    StrangeAddress,
    judge_site,
)
from tests.reconcile.scenes import (
    NOW,
    agent,
    judged,
    machine,
    registered,
    seconds,
    silent,
    site,
)

RACK = Subject(SubjectKind.RACK, "r1")
GB = 1024**3


def in_rack(
    rack: str | None, names: range, *, dark: bool = False, **changes: Any
) -> list[MachineView]:
    views = []
    for name in names:
        who = MachineId(f"m{name}")
        at = f"10.0.{name // 200}.{name % 200 + 1}"
        allowed = registered(id=who, rack=RackId(rack) if rack else None, address=at)
        make = silent if dark else machine
        views.append(make(machine=who, address=at, registered=allowed, **changes))
    return views


class TestOutage:
    def test_a_dark_rack_is_one_finding_and_its_machines_none(self) -> None:
        view = site(*in_rack("r1", range(10), dark=True), *in_rack("r2", range(10, 40)))
        seen = judged("rack_offline", view)
        assert [one.subject for one in seen] == [RACK]
        title = "Rack A1 is dark: 10 of 10 machines silent since 05:59:10 UTC on 21 Nov"
        assert seen[0].title == title
        assert judged("machine_offline", view) == []

    def test_machines_of_a_dark_rack_are_not_taken_for_well(self) -> None:
        view = site(*in_rack("r1", range(10), dark=True), *in_rack("r2", range(10, 40)))
        judgement = judge_site(view, NOW)
        assert not judgement.is_judged("machine_offline", Subject(SubjectKind.MACHINE, "m3"))

    def test_it_is_known_one_miss_before_its_machines_are_told(self) -> None:
        dark = in_rack("r1", range(10), dark=True, misses=2)
        view = site(*dark, *in_rack("r2", range(10, 40)))
        assert len(judged("rack_offline", view)) == 1

    @pytest.mark.parametrize(("answering", "fires"), [(4, True), (5, False)])
    def test_some_may_hang_on_another_feed(self, answering: int, fires: bool) -> None:
        rack = in_rack("r1", range(answering)) + in_rack("r1", range(answering, 10), dark=True)
        view = site(*rack, *in_rack("r2", range(10, 40)))
        assert (judged("rack_offline", view) != []) == fires
        assert (len(judged("machine_offline", view)) == 5) == (not fires)

    def test_three_machines_can_fail_by_chance(self) -> None:
        view = site(*in_rack("r1", range(3), dark=True), *in_rack("r2", range(10, 40)))
        assert judged("rack_offline", view) == []
        assert len(judged("machine_offline", view)) == 3

    def test_machines_that_died_on_different_days_did_not_fall_together(self) -> None:
        rack = [
            view
            for name in range(6)
            for view in in_rack(
                "r1", range(name, name + 1), dark=True, since=NOW - seconds(86_400 * (name + 1))
            )
        ]
        view = site(*rack, *in_rack("r2", range(10, 40)))
        assert judged("rack_offline", view) == []
        assert len(judged("machine_offline", view)) == 6

    def test_one_that_was_dead_before_keeps_its_own_finding(self) -> None:
        long_dead = in_rack("r1", range(1), dark=True, since=NOW - seconds(86_400))
        view = site(
            *long_dead, *in_rack("r1", range(1, 9), dark=True), *in_rack("r2", range(9, 40))
        )
        assert len(judged("rack_offline", view)) == 1
        assert [str(one.subject) for one in judged("machine_offline", view)] == ["machine:m0"]

    def test_unplaced_machines_go_by_their_address_block(self) -> None:
        view = site(*in_rack(None, range(200, 210), dark=True), *in_rack("r2", range(40)))
        seen = judged("network_silent", view)
        assert [str(one.subject) for one in seen] == ["address:10.0.1.0/24"]
        assert seen[0].cause == "block_silent"

    def test_a_silent_site_is_one_finding_alone(self) -> None:
        view = site(*in_rack("r1", range(10), dark=True), *in_rack("r2", range(10, 40), dark=True))
        seen = judge_site(view, NOW).observations
        assert [(one.rule, str(one.subject)) for one in seen] == [("network_silent", "site:bunker")]

    def test_a_rack_not_yet_read_after_a_restart_is_not_taken_for_well(self) -> None:
        view = site(*in_rack("r1", range(10), status=None), *in_rack("r2", range(10, 40)))
        assert not judge_site(view, NOW).is_judged("rack_offline", RACK)

    def test_a_rack_that_answers_is_well(self) -> None:
        assert judge_site(site(*in_rack("r1", range(10))), NOW).is_judged("rack_offline", RACK)


def with_agent(**changes: Any) -> SiteView:
    return site(machine(), agent=agent(**changes))


def spool(**changes: Any) -> AgentView:
    values: dict[str, Any] = {"size_bytes": 10, "limit_bytes": 100}
    return agent(spool=SpoolView(**(values | changes)))


class TestAgent:
    @pytest.mark.parametrize(
        ("step", "severity"),
        [
            ("details_dropped", Severity.LOW),
            ("samples_thinned", Severity.MEDIUM),
            ("minutes_dropped", Severity.HIGH),
        ],
    )
    def test_each_step_of_a_full_spool_is_a_finding(self, step: str, severity: Severity) -> None:
        view = site(machine(), agent=spool(made_room=step, made_room_at=NOW, rows_lost=5))
        (seen,) = judged("spool_thinning", view)
        assert (seen.cause, seen.severity) == (step, severity)
        assert seen.evidence[0].values["rows_lost"] == 5

    @pytest.mark.parametrize(("age_s", "fires"), [(900, True), (901, False)])
    def test_a_step_is_shown_for_a_quarter_of_an_hour(self, age_s: int, fires: bool) -> None:
        made_room_at = NOW - seconds(age_s)
        view = site(machine(), agent=spool(made_room="samples_thinned", made_room_at=made_room_at))
        assert (judged("spool_thinning", view) != []) == fires

    @pytest.mark.parametrize(("size_bytes", "fires"), [(79, False), (80, True)])
    def test_a_spool_that_fills_is_told_before(self, size_bytes: int, fires: bool) -> None:
        view = site(machine(), agent=spool(size_bytes=size_bytes))
        assert (judged("spool_thinning", view) != []) == fires

    def test_batches_put_aside(self) -> None:
        view = site(machine(), agent=spool(aside=2, aside_at=NOW))
        assert [one.title for one in judged("batch_aside", view)] == [
            "2 batches could not be delivered"
        ]
        assert judged("batch_aside", site(machine(), agent=spool())) == []

    @pytest.mark.parametrize(
        ("free", "total", "severity"),
        [
            (100 * GB, 2000 * GB, None),
            (11 * GB, 100 * GB, None),
            (9 * GB, 100 * GB, Severity.MEDIUM),
            (1 * GB, 100 * GB, Severity.CRITICAL),
        ],
    )
    def test_a_filling_disk(self, free: int, total: int, severity: Severity | None) -> None:
        seen = judged("disk_filling", with_agent(disk=DiskView(free, total)))
        assert [one.severity for one in seen] == ([severity] if severity else [])

    @pytest.mark.parametrize(("age_s", "fires"), [(3600, False), (3601, True)])
    def test_a_register_not_confirmed_for_an_hour(self, age_s: int, fires: bool) -> None:
        view = with_agent(register_confirmed_at=NOW - seconds(age_s))
        assert (judged("register_stale", view) != []) == fires

    def test_no_register_at_all(self) -> None:
        view = site(machine(), register=None, agent=agent(register_confirmed_at=None))
        (seen,) = judged("register_stale", view)
        assert (seen.cause, seen.severity) == ("no_register", Severity.HIGH)

    def test_a_refused_snapshot_is_critical_and_says_what_is_kept(self) -> None:
        view = with_agent(register_refused="not signed by the center", refused_at=NOW)
        (seen,) = judged("register_refused", view)
        assert (
            seen.title == "Refused a register snapshot, keeps version 7: not signed by the center"
        )
        assert judged("register_refused", with_agent()) == []

    @pytest.mark.parametrize(("sweep_s", "fires"), [(15.0, False), (15.1, True)])
    def test_polling_behind_its_cadence(self, sweep_s: float, fires: bool) -> None:
        assert (judged("poll_behind", with_agent(sweep_s=sweep_s)) != []) == fires


class TestDiscovery:
    def test_a_stranger_on_a_machine_port(self) -> None:
        stranger = StrangeAddress("10.0.0.77", NOW, "answers on 4028, speaks no API I know")
        (seen,) = judged("scan_gap", with_agent(scan=ScanView(ended_at=NOW, strangers=(stranger,))))
        assert str(seen.subject) == "address:10.0.0.77"
        assert seen.title == "Something at 10.0.0.77: answers on 4028, speaks no API I know"

    def test_addresses_left_out(self) -> None:
        scan = ScanView(ended_at=NOW, untried=12, why_untried="too few file descriptors")
        (seen,) = judged("scan_gap", with_agent(scan=scan))
        assert seen.title == "Discovery left out 12 addresses: too few file descriptors"

    def test_many_strangers_are_counted_not_listed(self) -> None:
        strangers = tuple(StrangeAddress(f"10.0.0.{i}", NOW, "?") for i in range(60))
        seen = judged("scan_gap", with_agent(scan=ScanView(ended_at=NOW, strangers=strangers)))
        assert len(seen) == 51
        assert seen[-1].evidence[0].values["untold"] == 10

    def test_before_the_first_discovery_what_is_open_stays(self) -> None:
        judgement = judge_site(with_agent(scan=None), NOW)
        assert not judgement.is_judged("scan_gap", Subject(SubjectKind.ADDRESS, "10.0.0.77"))

    def test_a_clean_discovery(self) -> None:
        assert judged("scan_gap", with_agent(scan=ScanView(ended_at=NOW))) == []


def test_what_the_agent_has_not_looked_at_is_not_judged() -> None:
    judgement = judge_site(site(machine(), agent=blank_agent(NOW)), NOW)
    for rule in ("spool_thinning", "batch_aside", "disk_filling", "register_stale", "poll_behind"):
        assert not judgement.is_judged(rule, Subject(SubjectKind.AGENT, "agent-1"))


def blank_agent(now: datetime) -> AgentView:
    return AgentView(agent="agent-1", started_at=now)
