"""What cannot be true is kept as claimed, marked at its source, and told in a note."""

from __future__ import annotations

from typing import Any

import pytest

from redoubt.model.status import Why
from tests.machines.replies import antminer, axeos, old_stats, parse, whatsminer


@pytest.mark.parametrize(
    ("family", "replies", "code", "field"),
    [
        (
            "antminer",
            antminer(summary={"SUMMARY": [{"GHS 5s": -5.0}]}),
            "hashrate_negative",
            "hashrate_hs",
        ),
        (
            "antminer",
            antminer(summary={"SUMMARY": [{"GHS 5s": 400_000.0}]}),
            "hashrate_over_nominal",
            "hashrate_hs",
        ),
        (
            "antminer",
            antminer(stats=old_stats(fan1=0, fan2=0, fan3=0, fan4=0)),
            "hashrate_without_fans",
            "hashrate_hs",
        ),
        ("antminer", antminer(stats=old_stats(chain_acn2=209)), "chips_over", "boards"),
        ("antminer", antminer(stats=old_stats(chain_acn2=-1)), "chips_negative", "boards"),
        ("antminer", antminer(stats=old_stats(chain_rate2=-7)), "hashrate_negative", "boards"),
        ("antminer", antminer(stats=old_stats(temp_chip1="255")), "temp_implausible", "boards"),
        ("antminer", antminer(stats=old_stats(fan1=-3)), "fan_implausible", "fans"),
        (
            "whatsminer_v3",
            whatsminer(summary={"hash-realtime": 1.0, "power-realtime": -4}),
            "power_implausible",
            "power_w",
        ),
        ("axeos", axeos(uptimeSeconds=-1), "uptime_negative", "uptime_s"),
        ("axeos", axeos(power=90_000), "power_implausible", "power_w"),
        ("axeos", axeos(power=2.0), "efficiency_implausible", "power_w"),
        ("axeos", axeos(macAddr="zz"), "mac_invalid", "mac"),
    ],
)
def test_it_is_kept_and_marked(family: str, replies: dict[str, Any], code: str, field: str) -> None:
    status = parse(family, replies)
    assert code in [note.code for note in status.notes]
    assert status.sources[field].why is Why.IMPLAUSIBLE
    assert getattr(status, field) not in (None, ())


def test_166_percent_of_the_chips() -> None:
    stats = old_stats()
    stats["STATS"][0]["Type"] = "Antminer T19"
    status = parse("antminer", {"stats": stats})
    assert status.boards[0].chips == 126
    (note, *_) = [note for note in status.notes if note.code == "chips_over"]
    assert "126 of 76 chips (166%)" in note.text


@pytest.mark.parametrize("chips", [76, 88, 126])
def test_a_model_sold_with_several_types_of_boards_is_held_to_none(chips: int) -> None:
    stats = old_stats(**{f"chain_acn{number}": chips for number in (1, 2, 3)})
    stats["STATS"][0]["Type"] = "Antminer S19"
    status = parse("antminer", {"stats": stats})
    assert [(board.chips, board.chips_expected) for board in status.boards] == [(chips, None)] * 3
    assert "chips_over" not in [note.code for note in status.notes]
