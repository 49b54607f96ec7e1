"""A plan tells every difference and every problem, and is whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from redoubt.model.ids import MachineId, SiteId
from redoubt.model.register import Machine, Register
from redoubt.model.register.changes import (
    FieldChange,
    FileText,
    Plan,
    RowChange,
    compare,
    plan_files,
)
from tests.model.register.registers import SMALL


def plan(*files: tuple[str, str]) -> Plan:
    found, problems = plan_files(SMALL, [FileText(name, text.encode()) for name, text in files])
    assert problems == ()
    assert found is not None
    return found


def reasons(*files: tuple[str, str]) -> list[str]:
    found, problems = plan_files(SMALL, [FileText(name, text.encode()) for name, text in files])
    assert found is None
    return [str(problem) for problem in problems]


def test_a_preview_tells_what_is_added_changed_and_removed() -> None:
    found = plan(
        ("machines.csv", "id,site,make,model,serial\nm1,bunker,Bitmain,S21,SN-9\nm9,hall,X,Y,\n")
    )
    (changes,) = found.changes
    assert (changes.table, changes.added, changes.removed) == ("machines", ("m9",), ("m2",))
    (changed,) = changes.changed
    assert changed == RowChange(
        "m1",
        (FieldChange("model", "Antminer S19j Pro", "S21"), FieldChange("serial", "SN-1", "SN-9")),
    )
    assert found.register.version == SMALL.version


def test_a_column_that_is_left_out_keeps_what_is_registered() -> None:
    found = plan(("machines.csv", "id,worker\nm1,acme.new\nm2,acme.m2\n"))
    machine = found.register.machines[0]
    assert (machine.worker, machine.serial, machine.slot) == (
        "acme.new",
        SMALL.machines[0].serial,
        SMALL.machines[0].slot,
    )


def test_a_new_row_needs_the_columns_that_a_known_one_may_leave_out() -> None:
    assert reasons(("machines.csv", "id,site\nm1,bunker\nm2,hall\nm3,hall\n")) == [
        "machines.csv:4: make: expected this column, because machine 'm3' is new"
    ]


def test_tables_that_no_file_holds_stay() -> None:
    found = plan(("owners.csv", "id,name\nanna,Anna B.\n"))
    assert msgspec.structs.replace(found.register, owners=SMALL.owners) == SMALL


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            [("machines.csv", "id,site,make,model\nm1,nowhere,a,b\n")],
            "machines.csv:2: site: no site 'nowhere' is registered or imported",
        ),
        (
            [("owners.csv", "id,name\n")],
            "owners.csv: id: owner 'anna' is left out: machine 'm1' needs it",
        ),
        (
            [("owners.csv", "id,name\nanna,A\nanna,B\n")],
            "owners.csv:3: id: owner 'anna' is there twice, first in line 2",
        ),
        (
            [("owners.csv", "id,name\nanna,A\n"), ("a/owners.csv", "id,name\nanna,B\n")],
            "a/owners.csv: owners are in 'owners.csv' already",
        ),
        (
            [("machines.csv", "id,rack,slot\nm1,r1,5-1\nm2,,\n")],
            "machines.csv:2: slot: rack 'r1' has 4 levels of 5 positions",
        ),
        (
            [("machines.csv", "id,rack,slot\nm1,,3-2\nm2,,\n")],
            "machines.csv:2: slot: a slot needs a rack",
        ),
        (
            [("machines.csv", "id,rack\nm1,r1\nm2,r1\n")],
            "machines.csv:3: rack: rack 'r1' is at site 'bunker', not 'hall'",
        ),
        (
            [("machines.csv", "id,site,rack,slot\nm1,bunker,r1,1-1\nm2,bunker,r1,1-1\n")],
            "machines.csv:3: slot: machine 'm1' is in slot 1-1 of rack 'r1' already",
        ),
        (
            [("machines.csv", "id,serial\nm1,SN-1\nm2,sn-1\n")],
            "machines.csv:3: serial: machine 'm1' has the same: 'SN-1'",
        ),
        (
            [("racks.csv", "id,levels\nr1,2\n")],
            "slot: machine 'm1' as registered: rack 'r1' has 2 levels of 5 positions",
        ),
    ],
)
def test_what_contradicts_the_whole_is_refused_where_it_stands(
    files: list[tuple[str, str]], reason: str
) -> None:
    assert any(told.endswith(reason) for told in reasons(*files))


def test_all_problems_of_all_files_are_told_at_once() -> None:
    told = reasons(
        ("owners.csv", "id,name\nanna,\n"),
        ("machines.csv", "id,site,make,model,mac\nm1,nowhere,a,b,xx\nm2,lost,a,b,\n"),
    )
    assert [line.partition(": ")[0] for line in told] == [
        "machines.csv:2",
        "machines.csv:3",
        "owners.csv:2",
    ]


def test_nothing_is_a_problem_too() -> None:
    assert reasons() == ["expected at least one file"]


def test_compare_finds_no_difference_in_the_same() -> None:
    assert compare(SMALL, SMALL) == ()


def test_two_machines_may_both_have_no_serial() -> None:
    more = Machine(id=MachineId("m3"), site=SiteId("hall"), make="a", model="b")
    register = msgspec.structs.replace(SMALL, machines=(*SMALL.machines, more))
    found, problems = plan_files(register, [FileText("owners.csv", b"id,name\nanna,Anna\n")])
    assert problems == ()
    assert found is not None
    assert isinstance(found.register, Register)
