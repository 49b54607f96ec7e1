"""People read people's units; an unknown reads as unknown and never as zero."""

from __future__ import annotations

import pytest

from redoubt.model import units


@pytest.mark.parametrize(
    ("hashrate_hs", "text"),
    [
        (None, "–"),
        (0, "0 H/s"),
        (1.2e12, "1.20 TH/s"),
        (104.25e12, "104.2 TH/s"),
        (1.5e18, "1.50 EH/s"),
    ],
)
def test_hashrates_read_in_the_unit_people_use(hashrate_hs: float | None, text: str) -> None:
    assert units.format_hashrate(hashrate_hs) == text


@pytest.mark.parametrize(
    ("power_w", "text"), [(None, "–"), (17.5, "17.50 W"), (3250, "3.25 kW"), (3.4e6, "3.40 MW")]
)
def test_watts_read_in_the_unit_people_use(power_w: float | None, text: str) -> None:
    assert units.format_watts(power_w) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (75, "1 min 15 s"),
        (86400, "1 d"),
        (97265, "1 d 3 h"),
        (3605, "1 h"),
    ],
)
def test_durations_read_in_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert units.format_duration(seconds) == text


def test_efficiency_is_unknown_where_nothing_is_hashed() -> None:
    assert units.efficiency_j_per_th(3500, 200e12) == 17.5
    assert units.efficiency_j_per_th(3500, 0) is None
    assert units.efficiency_j_per_th(None, 200e12) is None
