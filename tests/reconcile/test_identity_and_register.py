"""Who a machine is, where it is, whom it works for: the machine book against the register."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from redoubt.model.finding import Severity
from redoubt.model.identity import Identity
from redoubt.model.ids import MachineId, PoolId
from redoubt.model.register import Pool
from redoubt.model.status import MachineState, Note, PoolState, PoolStatus, Source, Why
from redoubt.reconcile import Change, MachineView
from redoubt.reconcile._pools import account_of, fold_url
from tests.reconcile.scenes import (
    MAC,
    NOW,
    POOL,
    SERIAL,
    about,
    healthy,
    is_judged,
    judged,
    machine,
    register,
    registered,
    seconds,
    silent,
    site,
)


def working_at(url: str | None, user: str | None, **changes: Any) -> MachineView:
    pools = (PoolStatus(0, url, user, PoolState.ACTIVE),)
    return machine(status=healthy(pools=pools), **changes)


class TestUnknownMachine:
    def test_it_is_told_with_its_pool_and_account(self) -> None:
        view = machine(machine=MachineId("m-x"), registered=None)
        seen = about("unknown_machine", view)
        assert seen is not None
        assert seen.title == "Unregistered Bitmain Test One at 10.0.0.1"
        assert seen.severity is Severity.HIGH
        assert seen.evidence[0].values["pool_user"] == "acme.m1"

    def test_one_that_does_not_hash_is_less_grave(self) -> None:
        view = machine(registered=None, status=healthy(state=MachineState.SLEEPING))
        seen = about("unknown_machine", view)
        assert seen is not None
        assert seen.severity is Severity.MEDIUM

    def test_a_registered_one_is_known(self) -> None:
        assert about("unknown_machine", machine()) is None

    def test_without_a_register_nobody_is_a_stranger(self) -> None:
        assert judged("unknown_machine", site(machine(registered=None), register=None)) == []


class TestAddress:
    def test_another_address_than_registered(self) -> None:
        seen = about("address_changed", machine(address="10.0.0.9"))
        assert seen is not None
        assert seen.title == "Answers at 10.0.0.9, registered at 10.0.0.1"

    def test_the_registered_address_is_well(self) -> None:
        assert about("address_changed", machine()) is None

    @pytest.mark.parametrize(("age_s", "fires"), [(86_400, True), (86_401, False)])
    def test_without_a_registered_address_a_move_shows_for_a_day(
        self, age_s: int, fires: bool
    ) -> None:
        moved = Change(at=NOW - seconds(age_s), address="10.0.0.8")
        seen = about("address_changed", machine(registered=registered(address=None), moved=moved))
        assert (seen is not None) == fires

    def test_a_machine_in_the_place_of_a_silent_one(self) -> None:
        gone = silent(machine=MachineId("m2"), registered=registered(id=MachineId("m2")))
        taken = machine(replaced=Change(at=NOW, machine=MachineId("m2")))
        seen = judged("address_taken", site(taken, gone))
        assert [one.title for one in seen] == ["Took the place of m2 at 10.0.0.1"]

    def test_addresses_dealt_anew_are_no_replacement(self) -> None:
        elsewhere = machine(machine=MachineId("m2"), address="10.0.0.2", registered=None)
        taken = machine(replaced=Change(at=NOW, machine=MachineId("m2")))
        assert judged("address_taken", site(taken, elsewhere)) == []


class TestIdentity:
    def test_another_mac_than_registered(self) -> None:
        shown = Identity(serial=SERIAL, mac="02:00:00:00:00:99")
        seen = about("identity_changed", machine(identity=shown))
        assert seen is not None
        assert seen.title == "MAC differs from the one registered"
        assert seen.severity is Severity.HIGH
        assert seen.evidence[0].values["mac"] == "02:00:00:00:00:99"
        assert seen.evidence[1].values["registered_mac"] == MAC

    def test_what_the_register_does_not_hold_cannot_differ(self) -> None:
        shown = Identity(serial=SERIAL, mac=MAC, control_board_serial="CB1")
        assert about("identity_changed", machine(identity=shown)) is None

    def test_what_the_machine_does_not_show_cannot_differ(self) -> None:
        assert about("identity_changed", machine(identity=Identity(serial=SERIAL))) is None

    def test_a_control_board_changed_since_yesterday(self) -> None:
        before = Identity(serial=SERIAL, mac=MAC, control_board_serial="CB1")
        shown = msgspec.structs.replace(before, control_board_serial="CB2")
        view = machine(identity=shown, altered=Change(at=NOW - seconds(60), identity=before))
        seen = about("identity_changed", view)
        assert seen is not None
        assert seen.title == "Control board differs from the one shown before"
        assert seen.severity is Severity.MEDIUM

    def test_no_identifier_at_all(self) -> None:
        seen = about("synthetic_identity", machine(identity=Identity()))
        assert seen is not None
        assert seen.cause == "no_identifier"

    def test_it_says_where_credentials_would_help(self) -> None:
        status = healthy(serial=None, sources={"serial": Source("info", None, Why.NEEDS_AUTH)})
        seen = about("synthetic_identity", machine(identity=Identity(), status=status))
        assert seen is not None
        assert seen.cause == "needs_auth"

    def test_one_identifier_is_enough(self) -> None:
        assert about("synthetic_identity", machine(identity=Identity(mac=MAC))) is None


class TestDuplicate:
    twin = machine(machine=MachineId("synthetic-1"), address="10.0.0.9", registered=None)

    def test_the_one_that_is_not_registered_with_it_is_told(self) -> None:
        twin = msgspec.structs.replace(self.twin, expected=Identity())
        seen = judged("duplicate_identity", site(machine(), twin))
        assert [str(one.subject) for one in seen] == ["machine:synthetic-1"]
        assert seen[0].title == "Shows the same serial as m1"

    def test_of_two_strangers_both_are_told(self) -> None:
        one = machine(registered=None, expected=Identity())
        two = msgspec.structs.replace(self.twin, expected=Identity())
        assert len(judged("duplicate_identity", site(one, two))) == 2

    def test_one_that_is_silent_shows_nothing(self) -> None:
        moved = msgspec.structs.replace(self.twin, expected=Identity())
        assert judged("duplicate_identity", site(silent(), moved)) == []

    def test_hashboards_alone_make_no_twin(self) -> None:
        other = Identity(serial="SN2", hashboard_serials=("A1",))
        view = machine(identity=Identity(serial=SERIAL, hashboard_serials=("A1",)))
        twin = msgspec.structs.replace(self.twin, identity=other)
        assert judged("duplicate_identity", site(view, twin)) == []


class TestHashboards:
    own = Identity(serial=SERIAL, mac=MAC, hashboard_serials=("A1", "A2", "A3"))

    def test_a_board_of_another_machine(self) -> None:
        other = machine(
            machine=MachineId("m2"),
            registered=registered(id=MachineId("m2"), hashboard_serials=("B1", "B2", "B3")),
        )
        shown = msgspec.structs.replace(self.own, hashboard_serials=("A1", "B2", "A3"))
        view = machine(
            identity=shown,
            expected=self.own,
            registered=registered(hashboard_serials=("A1", "A2", "A3")),
        )
        seen = judged("hashboards_swapped", site(view, other))
        assert [one.title for one in seen] == ["1 unregistered hashboard from m2"]
        assert seen[0].cause == "swapped"

    def test_a_board_of_nobody(self) -> None:
        shown = msgspec.structs.replace(self.own, hashboard_serials=("A1", "N1", "N2"))
        seen = about("hashboards_swapped", machine(identity=shown, expected=self.own))
        assert seen is not None
        assert seen.title == "2 unregistered hashboards"
        assert seen.cause == "replaced"

    def test_order_and_absence_are_no_swap(self) -> None:
        for serials in (("A3", "A1", "A2"), ("A1",)):
            shown = msgspec.structs.replace(self.own, hashboard_serials=serials)
            assert about("hashboards_swapped", machine(identity=shown, expected=self.own)) is None

    def test_a_machine_that_shows_none_is_not_judged(self) -> None:
        view = machine(identity=Identity(serial=SERIAL), expected=self.own)
        assert not is_judged("hashboards_swapped", view)


class TestPool:
    def test_a_foreign_account_is_critical(self) -> None:
        seen = about("wrong_pool", working_at(POOL.url, "thief.m1"))
        assert seen is not None
        assert (seen.cause, seen.severity) == ("account", Severity.CRITICAL)
        assert seen.title == "Works for a foreign account: thief.m1"
        assert [fact.book for fact in seen.evidence] == ["machine", "register"]

    @pytest.mark.parametrize(
        "url",
        [
            "stratum+tcp://POOL.example:3333",
            "stratum+ssl://pool.example:3333/",
            "pool.example:3333",
        ],
    )
    def test_spellings_of_the_same_pool_are_well(self, url: str) -> None:
        assert about("wrong_pool", working_at(url, "acme.m1")) is None

    def test_the_right_account_at_another_pool(self) -> None:
        seen = about("wrong_pool", working_at("stratum+tcp://other.example:3333", "acme.m1"))
        assert seen is not None
        assert (seen.cause, seen.severity) == ("pool", Severity.HIGH)

    def test_another_worker_name(self) -> None:
        view = working_at(POOL.url, "acme.m2", registered=registered(worker="m1"))
        seen = about("wrong_pool", view)
        assert seen is not None
        assert (seen.cause, seen.severity) == ("worker", Severity.LOW)

    def test_a_foreign_backup_pool_waits_for_its_hour(self) -> None:
        pools = (
            PoolStatus(0, POOL.url, "acme.m1", PoolState.ACTIVE),
            PoolStatus(1, "stratum+tcp://evil.example:3333", "thief.m1", PoolState.ALIVE),
        )
        seen = about("wrong_pool", machine(status=healthy(pools=pools)))
        assert seen is not None
        assert (seen.cause, seen.severity) == ("backup_pool", Severity.MEDIUM)
        assert seen.title == "Would fall back to a foreign account: thief.m1"

    def test_a_backup_for_another_registered_account_is_well(self) -> None:
        other = Pool(PoolId("other"), "Other", "stratum+tcp://other.example:1", "acme2")
        pools = (
            PoolStatus(0, POOL.url, "acme.m1", PoolState.ACTIVE),
            PoolStatus(1, other.url, "acme2.m1", PoolState.ALIVE),
        )
        view = machine(status=healthy(pools=pools))
        allowed = register([registered()], pools=(POOL, other))
        assert judged("wrong_pool", site(view, register=allowed)) == []

    def test_a_machine_that_says_no_active_pool_is_not_judged(self) -> None:
        pools = (PoolStatus(0, POOL.url, "acme.m1", PoolState.DEAD),)
        assert not is_judged("wrong_pool", machine(status=healthy(pools=pools)))

    def test_without_a_registered_pool_any_will_do(self) -> None:
        view = working_at("stratum+tcp://x:1", "y", registered=registered(pool=None))
        assert about("wrong_pool", view) is None

    def test_accounts_differ_by_case_and_bech32_wallets_do_not(self) -> None:
        assert account_of("Acme.rig") != account_of("acme.rig")
        assert account_of("BC1QXY.rig") == account_of("bc1qxy.rig")

    def test_a_url_is_its_host_and_port(self) -> None:
        assert fold_url("stratum+tcp://user@Pool.Example:3333/#xnsub") == "pool.example:3333"


class TestCredentials:
    def test_factory_credentials_that_are_taken(self) -> None:
        seen = about("factory_password", machine(factory_password=True))
        assert seen is not None
        assert seen.severity is Severity.HIGH

    def test_a_machine_that_says_so_itself(self) -> None:
        status = healthy(notes=(Note("factory_password", "password was never changed"),))
        assert about("factory_password", machine(status=status)) is not None

    def test_other_credentials_that_are_taken(self) -> None:
        assert about("factory_password", machine(factory_password=False)) is None
        assert is_judged("factory_password", machine(factory_password=False))

    def test_what_was_never_tried_is_not_judged(self) -> None:
        assert not is_judged("factory_password", machine())

    def test_a_machine_that_refuses_to_be_read(self) -> None:
        status = healthy(state=MachineState.NEEDS_AUTH)
        assert about("needs_auth", machine(status=status)) is not None
        assert about("needs_auth", machine()) is None

    def test_fields_kept_back_are_told_once_for_the_site(self) -> None:
        status = healthy(sources={"mac": Source("info", None, Why.NEEDS_AUTH)})
        views = [machine(machine=MachineId(f"m{i}"), status=status) for i in range(3)]
        seen = judged("credentials_missing", site(*views))
        assert [one.title for one in seen] == ["3 machines keep back mac without credentials"]
        assert str(seen[0].subject) == "site:bunker"
        assert judged("credentials_missing", site(machine())) == []
