"""What a machine does: silence, heat, boards, fans, hashrate, claims, power, clock."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from redoubt.machines import _plausible
from redoubt.model.finding import Severity
from redoubt.model.hardware import Hardware
from redoubt.model.register import Machine
from redoubt.model.status import (
    Board,
    Fan,
    MachineFault,
    MachineState,
    Note,
    PoolState,
    PoolStatus,
    PowerKind,
    Source,
)
from redoubt.reconcile import SiteView, _round, judge_site
from redoubt.reconcile.rules.implausible_claim import CLAIMS
from tests.reconcile.scenes import (
    NOW,
    POOL,
    about,
    agent,
    healthy,
    is_judged,
    judged,
    machine,
    registered,
    seconds,
    silent,
    site,
)

FACTS = Hardware(make="Bitmain", model="Test One", source="test", boards=3, fans=4)


@pytest.fixture
def known_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hardware tables have the machine's model: 3 boards, 4 fans."""
    monkeypatch.setattr(_round, "find_hardware", lambda *_: FACTS)


@pytest.mark.usefixtures("known_model")
def test_a_healthy_site_has_no_findings() -> None:
    assert judged_rules(site(machine())) == set()


def judged_rules(view: SiteView) -> set[str]:
    return {seen.rule for seen in judge_site(view, NOW).observations}


class TestOffline:
    def test_three_misses_are_offline_since_the_last_answer(self) -> None:
        since = NOW - seconds(50)
        seen = about("machine_offline", silent(3, since))
        assert seen is not None
        assert seen.title == "No reply since 05:59:10 UTC on 21 Nov"
        assert (seen.cause, seen.since) == ("no_reply", since)

    def test_two_misses_are_neither_offline_nor_well(self) -> None:
        assert about("machine_offline", silent(2)) is None
        assert not is_judged("machine_offline", silent(2))

    def test_an_answer_is_well(self) -> None:
        assert about("machine_offline", machine()) is None
        assert is_judged("machine_offline", machine())

    def test_nothing_is_said_before_the_first_poll_after_a_restart(self) -> None:
        unread = machine(status=None, last_answered_at=NOW - seconds(86_400))
        assert about("machine_offline", unread) is None
        assert not is_judged("machine_offline", unread)

    def test_a_stranger_may_leave(self) -> None:
        assert about("machine_offline", silent(registered=None)) is None

    def test_an_unreachable_machine_is_not_judged_by_its_old_reading(self) -> None:
        for rule in ("fan_lost", "machine_hot", "hashrate_low", "wrong_pool"):
            assert not is_judged(rule, silent())


class TestMissing:
    never = machine(status=None, first_seen_at=None, last_answered_at=None)

    def test_a_registered_machine_never_seen_is_missing(self) -> None:
        seen = about("machine_missing", self.never)
        assert seen is not None
        assert seen.evidence[0].book == "register"
        assert seen.evidence[0].values["serial"] == "SN0001"

    def test_the_agent_must_have_looked_for_ten_minutes(self) -> None:
        young = site(self.never, agent=agent(started_at=NOW - seconds(599)))
        assert judged("machine_missing", young) == []

    def test_one_that_answered_once_is_offline_instead(self) -> None:
        assert about("machine_missing", silent()) is None


class TestNotHashing:
    def test_zero_hashrate_is_told_with_the_machines_own_reason(self) -> None:
        status = healthy(
            hashrate_hs=0.0,
            state=MachineState.DEGRADED,
            errors=(MachineFault("P:1", "power supply protects itself"),),
        )
        seen = about("machine_not_hashing", machine(status=status))
        assert seen is not None
        assert seen.cause == "fault"
        assert seen.title == "Not hashing: it reports power supply protects itself"

    def test_dead_pools_are_the_reason_where_none_is_alive(self) -> None:
        pools = (
            PoolStatus(0, POOL.url, "acme.m1", PoolState.DEAD),
            PoolStatus(1, "x", "y", PoolState.DISABLED),
        )
        status = healthy(hashrate_hs=0.0, state=MachineState.DEGRADED, pools=pools)
        seen = about("machine_not_hashing", machine(status=status))
        assert seen is not None
        assert seen.cause == "no_pool"

    def test_sleep_is_told_quietly(self) -> None:
        status = healthy(hashrate_hs=None, state=MachineState.SLEEPING)
        seen = about("machine_not_hashing", machine(status=status))
        assert seen is not None
        assert (seen.cause, seen.severity) == ("sleeping", Severity.LOW)

    @pytest.mark.parametrize(("uptime_s", "fires"), [(299, False), (300, True)])
    def test_a_machine_has_five_minutes_to_start(self, uptime_s: int, fires: bool) -> None:
        status = healthy(hashrate_hs=0.0, state=MachineState.DEGRADED, uptime_s=uptime_s)
        assert (about("machine_not_hashing", machine(status=status)) is not None) == fires

    def test_an_unknown_hashrate_is_not_zero(self) -> None:
        view = machine(status=healthy(hashrate_hs=None, state=MachineState.UNKNOWN))
        assert about("machine_not_hashing", view) is None
        assert not is_judged("machine_not_hashing", view)


def with_chips_at(temp_c: float, board_c: float = 50.0) -> tuple[Board, ...]:
    return (Board(0, None, 1e12, 100, 100, board_c, temp_c), Board(1, None, 1e12, 100, 100))


class TestHot:
    @pytest.mark.parametrize(
        ("chip_c", "severity"),
        [(86.9, None), (87.0, Severity.HIGH), (94.9, Severity.HIGH), (95.0, Severity.CRITICAL)],
    )
    def test_antminer_chips(self, chip_c: float, severity: Severity | None) -> None:
        seen = about("machine_hot", machine(status=healthy(boards=with_chips_at(chip_c))))
        assert (seen and seen.severity) == severity

    def test_axeos_throttles_earlier_than_an_antminer(self) -> None:
        view = machine(status=healthy(family="axeos", boards=with_chips_at(75.0)))
        seen = about("machine_hot", view)
        assert seen is not None
        assert seen.title == "Chips at 75 °C; firmware acts at 75 °C"
        assert seen.severity is Severity.CRITICAL

    def test_hot_boards_under_cool_chips(self) -> None:
        seen = about("machine_hot", machine(status=healthy(boards=with_chips_at(60.0, 81.0))))
        assert seen is not None
        assert seen.title.startswith("Boards at 81 °C")

    def test_a_family_without_figures_has_general_ones(self) -> None:
        cool = machine(status=healthy(family="else", boards=with_chips_at(89.0)))
        assert about("machine_hot", cool) is None
        assert is_judged("machine_hot", cool)

    def test_a_broken_sensor_is_no_heat(self) -> None:
        view = machine(status=healthy(boards=with_chips_at(255.0)))
        assert about("machine_hot", view) is None

    def test_no_reading_is_not_cool(self) -> None:
        view = machine(status=healthy(boards=(Board(0, None, 1e12, 100, 100),)))
        assert not is_judged("machine_hot", view)


@pytest.mark.usefixtures("known_model")
class TestBoards:
    def test_an_idle_board_is_lost(self) -> None:
        boards = (*healthy().boards[:2], Board(2, "HB2", 0.0, 0, 100))
        status = healthy(boards=boards, state=MachineState.DEGRADED)
        seen = about("board_lost", machine(status=status))
        assert seen is not None
        assert seen.title == "1 of 3 hashboards lost (board 2 idle)"
        assert seen.evidence[0].values == {
            "boards_working": 2,
            "boards_expected": 3,
            "serials": "HB2",
        }

    def test_a_board_that_is_not_listed_is_lost_too(self) -> None:
        seen = about("board_lost", machine(status=healthy(boards=healthy().boards[:2])))
        assert seen is not None
        assert seen.title == "1 of 3 hashboards lost"

    @pytest.mark.parametrize(("chips", "fires"), [(95, False), (94, True)])
    def test_a_board_may_lose_five_percent_of_its_chips(self, chips: int, fires: bool) -> None:
        boards = (Board(0, None, 1e12, chips, 100), *healthy().boards[1:])
        seen = about("board_lost", machine(status=healthy(boards=boards)))
        assert (seen is not None) == fires
        if seen is not None:
            assert seen.cause == "chips_lost"
            assert seen.title == "6 chips do not answer on board 0"

    @pytest.mark.parametrize(("chips", "fires"), [(90, False), (89, True)])
    def test_of_an_unknown_model_a_board_is_judged_by_its_siblings(
        self, chips: int, fires: bool
    ) -> None:
        boards = tuple(Board(i, None, 1e12, count) for i, count in enumerate((105, chips, 104)))
        seen = about("board_lost", machine(status=healthy(boards=boards)))
        assert (seen is not None) == fires
        if seen is not None:
            assert (seen.cause, seen.severity) == ("chips_lost", Severity.MEDIUM)
            assert seen.title == "about 16 chips do not answer on board 1"
            (fact,) = seen.evidence
            assert fact.text == "board 1: 89 chips answer, 105 on another board"
            assert fact.values == {"board": 1, "chips": 89, "chips_of_sibling": 105}

    @pytest.mark.parametrize(
        "boards",
        [
            tuple(Board(i, None, 1e12, None) for i in range(3)),
            (Board(0, None, 1e12, 40), Board(1, None, 1e12, None), Board(2, None, 1e12, None)),
            (Board(0, None, 1e12, 100), Board(1, None, 1e12, None), Board(2, None, 1e12, 100)),
            (Board(0, None, 1e12, 76), Board(1, None, 1e12, 88), Board(2, None, 1e12, 88)),
        ],
    )
    def test_boards_that_show_no_clear_difference_have_lost_nothing(
        self, boards: tuple[Board, ...]
    ) -> None:
        view = machine(status=healthy(boards=boards))
        assert about("board_lost", view) is None

    def test_a_count_that_is_known_goes_before_the_siblings(self) -> None:
        boards = (*healthy().boards[:2], Board(2, None, 1e12, 50, 50))
        view = machine(status=healthy(boards=boards))
        assert about("board_lost", view) is None

    def test_all_boards_idle_is_not_hashing_instead(self) -> None:
        boards = tuple(Board(i, None, 0.0, 0, 100) for i in range(3))
        view = machine(status=healthy(boards=boards, state=MachineState.DEGRADED))
        assert about("board_lost", view) is None

    def test_a_sleeping_machine_has_lost_nothing(self) -> None:
        boards = (*healthy().boards[:2], Board(2, None, 0.0, 0, 100))
        view = machine(status=healthy(boards=boards, state=MachineState.SLEEPING))
        assert not is_judged("board_lost", view)


class TestFans:
    @pytest.mark.parametrize(("rpm", "fires"), [(300, False), (299, True), (0, True)])
    def test_a_fan_under_300_rpm_stands_still(self, rpm: int, fires: bool) -> None:
        fans = (Fan(0, 5000), Fan(1, 5000), Fan(2, rpm), Fan(3, 5000))
        seen = about("fan_lost", machine(status=healthy(fans=fans)))
        assert (seen is not None) == fires
        if seen is not None:
            assert seen.title == "Fan 2 of 4 stands still"
            assert seen.evidence[0].values["fan_2_rpm"] == rpm

    def test_several_fans_are_one_finding(self) -> None:
        fans = (Fan(0, 5000), Fan(1, 0), Fan(2, 0))
        seen = about("fan_lost", machine(status=healthy(fans=fans)))
        assert seen is not None
        assert seen.title == "Fans 1, 2 of 3 stand still"

    @pytest.mark.usefixtures("known_model")
    def test_a_fan_that_is_not_listed_is_lost(self) -> None:
        seen = about("fan_lost", machine(status=healthy(fans=healthy().fans[:3])))
        assert seen is not None
        assert seen.title == "1 of 4 fans are not listed"

    def test_all_fans_still_is_liquid_cooling_or_a_lie_and_not_this_rule(self) -> None:
        view = machine(status=healthy(fans=(Fan(0, 0), Fan(1, 0))))
        assert about("fan_lost", view) is None

    def test_fans_of_which_nothing_is_known_are_not_judged(self) -> None:
        assert not is_judged("fan_lost", machine(status=healthy(fans=())))
        assert not is_judged("fan_lost", machine(status=healthy(fans=(Fan(0), Fan(1)))))

    def test_a_stopped_machine_may_stop_its_fans(self) -> None:
        view = machine(status=healthy(fans=(Fan(0, 0),), state=MachineState.SLEEPING))
        assert not is_judged("fan_lost", view)


class TestHashrate:
    @pytest.mark.parametrize(
        ("hashrate_hs", "severity"),
        [
            (90e12, None),
            (89.9e12, Severity.MEDIUM),
            (70e12, Severity.MEDIUM),
            (69.9e12, Severity.HIGH),
        ],
    )
    def test_under_nominal(self, hashrate_hs: float, severity: Severity | None) -> None:
        seen = about("hashrate_low", machine(status=healthy(hashrate_hs=hashrate_hs)))
        assert (seen and seen.severity) == severity

    def test_the_registers_nominal_goes_before_the_machines(self) -> None:
        view = machine(registered=registered(hashrate_nominal_hs=80e12))
        assert about("hashrate_low", msgspec.structs.replace(view, status=healthy())) is None
        slow = healthy(hashrate_hs=70e12, hashrate_nominal_hs=70e12)
        seen = about("hashrate_low", msgspec.structs.replace(view, status=slow))
        assert seen is not None
        assert seen.title == "Hashes 88% of nominal (70.00 TH/s)"

    def test_tuning_after_a_start_is_not_judged(self) -> None:
        view = machine(status=healthy(hashrate_hs=50e12, uptime_s=899))
        assert about("hashrate_low", view) is None
        assert not is_judged("hashrate_low", view)

    def test_zero_and_less_are_other_rules(self) -> None:
        for hashrate_hs in (0.0, -5e12):
            assert about("hashrate_low", machine(status=healthy(hashrate_hs=hashrate_hs))) is None

    def test_without_a_nominal_nothing_is_said(self) -> None:
        view = machine(status=healthy(hashrate_nominal_hs=None))
        assert not is_judged("hashrate_low", view)


class TestClaims:
    def test_the_gravest_claim_gives_the_title(self) -> None:
        notes = (
            Note("fan_implausible", "fan 1 claims 90000 rpm", "fans"),
            Note("chips_over", "board 0 claims 166 of 100 chips (166%)", "boards"),
        )
        seen = about("implausible_claim", machine(status=healthy(notes=notes)))
        assert seen is not None
        assert seen.title == "Board 0 claims 166 of 100 chips (166%)"
        assert seen.severity is Severity.HIGH
        assert [fact.values["claim"] for fact in seen.evidence] == ["chips_over", "fan_implausible"]

    def test_other_notes_are_no_claims(self) -> None:
        view = machine(status=healthy(notes=(Note("old_dialect", "speaks the old dialect"),)))
        assert about("implausible_claim", view) is None

    def test_every_implausible_note_of_the_drivers_is_judged(self) -> None:
        status = healthy(
            hashrate_hs=-1.0,
            mac="00:00:00:00:00:00",
            power_w=-3.0,
            temp_inlet_c=900.0,
            boards=(Board(0, None, -1.0, -2, 10), Board(1, None, 1.0, 20, 10)),
            fans=(Fan(0, 99_999),),
        )
        lies = healthy(hashrate_hs=500e12, fans=(Fan(0, 0),))
        thrift = healthy(efficiency_j_per_th=0.5, uptime_s=-1)
        notes = [
            note for said in (status, lies, thrift) for note in _plausible.mark_implausible(said)
        ]
        assert {note.code for note in notes} == CLAIMS.keys()

    def test_a_machines_words_are_made_harmless(self) -> None:
        text = "line\nbreak \x1b[31m " + "x" * 500
        status = healthy(notes=(Note("chips_over", text),))
        seen = about("implausible_claim", machine(status=status))
        assert seen is not None
        assert len(seen.title) <= 80
        assert seen.title.isprintable()


class TestPower:
    @pytest.mark.parametrize(("power_w", "fires"), [(3360.0, False), (3361.0, True)])
    def test_five_percent_over_the_limit_are_borne(self, power_w: float, fires: bool) -> None:
        seen = about("power_over_limit", machine(status=healthy(power_w=power_w)))
        assert (seen is not None) == fires

    def test_it_says_whose_watts_they_are(self) -> None:
        status = healthy(power_w=4000.0, power_kind=PowerKind.ESTIMATED)
        seen = about("power_over_limit", machine(status=status))
        assert seen is not None
        assert seen.title == "Draws 4.00 kW (estimated) of 3.20 kW allowed"
        assert [fact.book for fact in seen.evidence] == ["machine", "register"]

    def test_without_a_limit_anything_goes(self) -> None:
        free: Machine = registered(power_limit_w=None)
        view = machine(status=healthy(power_w=9000.0), registered=free)
        assert about("power_over_limit", view) is None


class TestClock:
    @pytest.mark.parametrize(("ahead_s", "cause"), [(300, None), (301, "ahead"), (-301, "behind")])
    def test_five_minutes_are_borne(self, ahead_s: int, cause: str | None) -> None:
        status = healthy(clock_at=NOW + timedelta(seconds=ahead_s))
        seen = about("clock_skew", machine(status=status))
        assert (seen and seen.cause) == cause

    def test_it_is_compared_with_when_its_own_reply_came(self) -> None:
        sources = {"clock_at": Source("summary", NOW - seconds(3600))}
        status = healthy(clock_at=NOW - seconds(3600), sources=sources)
        assert about("clock_skew", machine(status=status)) is None

    def test_a_family_without_a_clock_is_not_judged(self) -> None:
        assert not is_judged("clock_skew", machine())


def test_a_fault_is_told_in_the_makers_words() -> None:
    faults = (MachineFault("540", "hashboard 0 has no EEPROM"), MachineFault("541", "hashboard 1"))
    seen = about("machine_fault", machine(status=healthy(errors=faults)))
    assert seen is not None
    assert seen.title == "Reports hashboard 0 has no EEPROM (540) and 1 more"
    assert [fact.values["code"] for fact in seen.evidence] == ["540", "541"]


@pytest.mark.usefixtures("known_model")
def test_a_model_in_the_tables_is_known() -> None:
    assert about("unknown_model", machine()) is None


def test_an_unknown_model_is_told_in_the_machines_spelling() -> None:
    status = healthy(make="Acme", model="Digger 9000")
    seen = about("unknown_model", machine(status=status))
    assert seen is not None
    assert seen.title == "Model Acme Digger 9000 is in no hardware table"


def test_a_site_without_a_register_judges_health_all_the_same() -> None:
    fans = (Fan(0, 0), Fan(1, 5000))
    stranger = machine(registered=None, status=healthy(fans=fans))
    seen = judged_rules(site(stranger, register=None))
    assert "fan_lost" in seen
    assert "unknown_machine" not in seen
