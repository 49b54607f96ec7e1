"""The makers' tables are whole, and a model is found by the spellings that machines use."""

from __future__ import annotations

import pytest

from redoubt.model.hardware import Hardware, Variant, find_hardware, hardware_tables


def test_every_row_names_its_source_and_makes_sense() -> None:
    for row in hardware_tables():
        assert row.source
        assert row.boards is None or 1 <= row.boards <= 4
        assert row.hashrate_nominal_hs is None or row.hashrate_nominal_hs > 1e11
        classes: tuple[Hardware | Variant, ...] = (row, *row.variants)
        for each in classes:
            if each.power_w is not None and each.hashrate_nominal_hs is not None:
                assert 10 < each.power_w / (each.hashrate_nominal_hs / 1e12) < 100


def test_no_two_rows_claim_one_spelling() -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in hardware_tables():
        for name in {row.model.lower(), *(name.lower() for name in row.names)}:
            assert seen.setdefault((row.make, name), row.model) == row.model


@pytest.mark.parametrize(
    ("make", "reported", "model", "terahashes"),
    [
        ("Bitmain", "Antminer S19j Pro", "Antminer S19j Pro", 104),
        ("Bitmain", "S19j Pro 96T", "Antminer S19j Pro", 96),
        ("Bitmain", "antminer s19j pro (100Th)", "Antminer S19j Pro", 100),
        ("Bitmain", "Antminer S21 Hyd.", "Antminer S21 Hydro", 335),
        ("Bitmain", "Antminer S19 Pro+", "Antminer S19 Pro+", None),
        ("MicroBT", "M60S_VK40", "WhatsMiner M60S", 186),
        ("MicroBT", "M30S++_VG40", "WhatsMiner M30S++", 112),
        ("Bitaxe", "601", "Gamma", 1.071),
    ],
)
def test_spellings(make: str, reported: str, model: str, terahashes: float | None) -> None:
    row = find_hardware(make, reported)
    assert row is not None
    assert row.model == model
    nominal = row.hashrate_nominal_hs
    assert nominal == (None if terahashes is None else pytest.approx(terahashes * 1e12))


def test_the_claimed_hashrate_picks_the_class() -> None:
    row = find_hardware("Bitmain", "Antminer S19j Pro", 96.2e12)
    assert row is not None
    assert row.power_w == pytest.approx(2832)


def test_what_no_table_has_is_none() -> None:
    assert find_hardware("Bitmain", "Antminer Z99") is None
    assert find_hardware(None, "Antminer S19") is None
    assert find_hardware("Bitmain", "x" * 100_000) is None
