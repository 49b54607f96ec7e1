"""Machines' passwords: found by range and family, and in no file that others may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.edge.miner import Login
from redoubt.model.errors import InputError
from redoubt.site.credentials import Credentials, load_credentials

TEXT = """
[[credential]]
user = "any"
password = "p1"

[[credential]]
family = "antminer"
user = "stock"
password = "p2"

[[credential]]
range = "10.0.1.0/24"
user = "row"
password = "p3"

[[credential]]
range = "10.0.1.0/24"
family = "antminer"
user = "row-antminer"
password = "p4"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "credentials.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("family", "address", "user"),
    [
        ("axeos", "10.9.9.9", "any"),
        ("antminer", "10.9.9.9", "stock"),
        ("axeos", "10.0.1.7", "row"),
        ("antminer", "10.0.1.7", "row-antminer"),
        ("antminer", "a-name.example", "stock"),
    ],
)
def test_the_narrowest_entry_wins(tmp_path: Path, family: str, address: str, user: str) -> None:
    login = load_credentials(written(tmp_path, TEXT)).find(family, address)
    assert login is not None
    assert login.user == user


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match="chmod 600"):
        load_credentials(written(tmp_path, TEXT, mode))


@pytest.mark.parametrize(
    "text",
    [
        "[[credential]]\nuser = 1\npassword = 'x'",
        "[[credential]]\nuser = 'x'",
        "[[credential]]\nuser = 'x'\npassword = 'y'\nrange = 'everywhere'",
        "[[credential]]\nuser = 'x'\npassword = 'y'\nfamily = 'toaster'",
        "[[credential]]\nuser = 'x'\npassword = 'y'\npasword = 'z'",
        "credential = ",
    ],
)
def test_a_wrong_file_is_refused_and_shows_no_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"credentials\.toml"):
        load_credentials(written(tmp_path, text))


def test_no_file_is_no_credentials(tmp_path: Path) -> None:
    assert load_credentials(tmp_path / "none.toml").find("antminer", "10.0.0.1") is None


def test_one_login_for_all() -> None:
    login = Login("root", "x")
    assert Credentials.single(login).find("antminer", "10.0.0.1") == login
