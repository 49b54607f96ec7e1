"""Nothing listens beyond loopback without TLS, and what is wrong in a setting is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.center.certificates import own_certificate, server_names, web_certificate
from redoubt.center.folder import CenterFolder, CenterRuns, make_center, only_one
from redoubt.center.settings import Listen, Settings, load_settings, parse_listen, save_settings
from redoubt.edge.keys import load_certificate
from redoubt.model.errors import InputError
from redoubt.model.register import Organisation
from tests.center.conftest import ACME, NOW


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080, tls=False)),
        ("http://127.9.9.9:80", Listen("127.9.9.9", 80, tls=False)),
        ("https://127.0.0.1:8443/", Listen("127.0.0.1", 8443, tls=True)),
        ("[::1]:0", Listen("::1", 0, tls=False)),
        ("localhost:1", Listen("localhost", 1, tls=False)),
        ("10.0.0.1:8080", Listen("10.0.0.1", 8080, tls=True)),
        ("[::]:8080", Listen("::", 8080, tls=True)),
        ("mine.example:443", Listen("mine.example", 443, tls=True)),
    ],
)
def test_loopback_may_be_plain_and_everything_else_is_tls(text: str, listen: Listen) -> None:
    assert parse_listen(text, "--web-listen") == listen


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "[::]", "mine.example", "128.0.0.1"])
def test_plain_http_beyond_loopback_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="loopback only"):
        parse_listen(f"http://{host}:8080", "--web-listen")


@pytest.mark.parametrize(
    "text", ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "ftp://a:1", ":80", "a:-1"]
)
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(InputError, match="expected HOST:PORT for --web-listen"):
        parse_listen(text, "--web-listen")


def test_settings_are_kept_and_checked(tmp_path: Path) -> None:
    settings = Settings(web_listen="0.0.0.0:443", public_host="mine.example")
    save_settings(settings, tmp_path)
    assert load_settings(tmp_path) == settings
    assert settings.base_url == "https://mine.example:443"
    with pytest.raises(InputError, match="public_host"):
        Settings(web_listen="0.0.0.0:443").check()
    with pytest.raises(InputError, match="together"):
        Settings(web_certificate="a").check()
    with pytest.raises(InputError, match="center init"):
        load_settings(tmp_path / "nowhere")
    (tmp_path / "center.toml").write_text("colour = 1")
    with pytest.raises(InputError, match="colour"):
        load_settings(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> CenterFolder:
    root = tmp_path / "center"
    make_center(root, Settings(), Organisation(ACME, "Acme"), NOW).close()
    return CenterFolder(root)


def test_a_new_center_is_closed_to_others(folder: CenterFolder) -> None:
    assert folder.root.stat().st_mode & 0o777 == 0o700
    for path in (*folder.keys.glob("*.key"), folder.records, folder.root / "center.toml"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert folder.telemetry.is_dir()


def test_a_center_closes_a_folder_that_was_there_already(tmp_path: Path) -> None:
    (tmp_path / "center").mkdir(mode=0o755)
    make_center(tmp_path / "center", Settings(), Organisation(ACME, "Acme"), NOW).close()
    assert (tmp_path / "center").stat().st_mode & 0o777 == 0o700


def test_a_folder_with_something_in_it_is_left_alone(folder: CenterFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a control center already"):
        make_center(folder.root, Settings(), Organisation(ACME, "Acme"), NOW)
    (tmp_path / "other").mkdir()
    (tmp_path / "other").chmod(0o755)
    (tmp_path / "other" / "letter").write_text("dear")
    with pytest.raises(InputError, match="files already"):
        make_center(tmp_path / "other", Settings(), Organisation(ACME, "Acme"), NOW)
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o755


def test_a_folder_runs_one_center_at_a_time(folder: CenterFolder) -> None:
    with only_one(folder), pytest.raises(CenterRuns, match="running"), only_one(folder):
        pass
    with only_one(folder):
        pass


def test_a_certificate_is_kept_until_its_names_change(folder: CenterFolder) -> None:
    names = server_names(Settings(public_host="mine.example"), "0.0.0.0")
    assert names == ("mine.example", "localhost", "127.0.0.1", "::1")
    path, _ = own_certificate(folder, "web", names, NOW)
    first = load_certificate(path)
    own_certificate(folder, "web", names, NOW)
    assert load_certificate(path) == first
    own_certificate(folder, "web", ("other.example",), NOW)
    assert load_certificate(path) != first
    assert web_certificate(folder, Settings()) == (None, None)
    with pytest.raises(InputError, match="no such file"):
        web_certificate(folder, Settings(web_certificate="a.crt", web_key="a.key"))
