"""Incident scripts are checked as a whole, and what is wrong is said with its line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.errors import InputError
from redoubt.world import load_script, parse_script
from redoubt.world.incidents import Kind, packaged_scripts


def test_packaged_scripts_can_be_read() -> None:
    assert "demo" in packaged_scripts()
    for name in packaged_scripts():
        script = load_script(name)
        assert script.title
        assert script.incidents


def test_the_demo_has_something_for_every_rule() -> None:
    kinds = {incident.kind for incident in load_script("demo").incidents}
    assert kinds >= {
        Kind.FAN_FAILURE,
        Kind.BOARD_LOST,
        Kind.HOT_RACK,
        Kind.POWER_TRIPPED,
        Kind.STRANGER_APPEARS,
        Kind.UNDER_HASHING,
        Kind.LYING_FIRMWARE,
        Kind.ADDRESS_CHANGED,
    }


def test_incidents_come_in_the_order_of_their_time() -> None:
    script = parse_script(
        '[[incident]]\nat_s = 9\nkind = "rebooted"\n[[incident]]\nat_s = 2\nkind = "heat_wave"\n'
    )
    assert [incident.at_s for incident in script.incidents] == [2, 9]


def test_a_script_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "mine"\n[[incident]]\nat_s = 1\nkind = "psu_failure"\n')
    assert load_script(str(path)).title == "mine"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('kind = "fan_failure"', "missing required field `at_s`"),
        ('at_s = 1\nkind = "fan_fail"', "Invalid enum value 'fan_fail'"),
        ('at_s = "soon"\nkind = "heat_wave"', "Expected `float`, got `str`"),
        ('at_s = -1\nkind = "heat_wave"', "expected at_s of 0"),
        ('at_s = 1\nkind = "fan_failure"\nblade = 2', "unknown field `blade`"),
        ('at_s = 1\nkind = "fan_failure"\nboard = 2', "fan_failure takes no 'board'"),
        ('at_s = 1\nkind = "hot_rack"\nmachine = "A01-1-1"', "strikes a rack"),
        ('at_s = 1\nkind = "hot_rack"\nairflow = 0', "expected airflow of 0.1 to 1"),
        ('at_s = 1\nkind = "misbehaves"', "misbehaves needs how, one of hang"),
        ('at_s = 1\nkind = "misbehaves"\nhow = "sulk"', "Invalid enum value 'sulk'"),
        ('at_s = 1\nkind = "rebooted"\nlasts_s = 3', "over at once"),
        ('at_s = 1\nkind = "heat_wave"\nlasts_s = 0', "expected lasts_s over 0"),
        ('at_s = 1\nkind = "psu_failure"\ncount = 0', "expected count of 1 to 1000"),
        ('at_s = 1\nkind = "psu_failure"\nfamily = "avalon"', "got 'avalon'"),
        ('at_s = 1\nkind = "under_hashing"\nfactor = 0.0', "expected factor"),
        ('at_s = nan\nkind = "heat_wave"', "expected at_s"),
    ],
)
def test_a_bad_incident_is_refused_with_its_line(body: str, words: str) -> None:
    text = f'title = "t"\n\n[[incident]]\n{body}\n'
    with pytest.raises(InputError) as caught:
        parse_script(text, "mine.toml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.toml, incident at line 3: ")


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = '[[incident]]\nat_s = 1\nkind = "x"\n[[incident]]\nkind = "y"\n'
    with pytest.raises(InputError, match=r"line 1.*line 4"):
        parse_script(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "not TOML"),
        ("speed = 3", "expected only title and"),
        ("incident = 3", "expected a title and a list"),
        ("title = 3", "expected a title and a list"),
        ("incident = [3]", "no. 1"),
    ],
)
def test_what_is_no_script_is_called_so(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_script(text)


def test_a_missing_script_names_those_there_are() -> None:
    with pytest.raises(InputError, match=r"packaged ones: .*demo"):
        load_script("no-such-script")


@given(st.text() | st.text(alphabet='[]incdet=\n" 0123456789_kats.', max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        parse_script(text)
