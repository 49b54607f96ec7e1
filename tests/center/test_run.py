"""A center as its users run it: real processes, real sockets, its own command line."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from redoubt.access.secret import Purpose, hash_secret
from redoubt.center.console import console_register
from redoubt.center.folder import CenterFolder, center_name
from redoubt.center.links import new_secret
from redoubt.center.serve import STOP_S
from redoubt.cli.center import command
from redoubt.edge.enrolment import parse_enrolment_token
from redoubt.edge.records import open_records
from redoubt.edge.records.people import Person
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Role
from redoubt.model.register.toml_form import write_toml
from tests.model.register.registers import SMALL


def redoubt(*arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "redoubt", "center", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def running(folder: Path, web: str = "127.0.0.1:0") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "redoubt", "center", "run", str(folder)),
            *("--web-listen", web, "--agent-listen", "127.0.0.1:0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        assert url, process.stderr.read()
        yield url, process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    redoubt("init", tmp_path / "c", "--agent-listen", "127.0.0.1:0")
    return tmp_path / "c"


def get(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        text: str = answer.read().decode()
        return text


def test_a_center_is_made_run_and_stopped_and_says_no_more_than_its_url(folder: Path) -> None:
    with running(folder) as (url, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert "Sign in" in get(f"{url}/sign-in")
        refused = redoubt("run", folder, "--web-listen", "127.0.0.1:0", expect=2)
        assert "running" in refused.stderr
        path = redoubt("link", folder).stdout.strip().partition("8080")[2]
        assert 'name="password_again"' in _follow(url, path)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "")
        assert "/link/" not in err
        assert "Traceback" not in err


def _follow(url: str, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(f"{url}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_a_stop_ends_live_pages_and_does_not_wait_for_idle_connections(folder: Path) -> None:
    cookie = _signed_in(folder)
    with running(folder) as (url, process):
        port = int(url.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as idle,
            socket.create_connection(("127.0.0.1", port), timeout=20) as live,
        ):
            idle.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.recv(1000)
            asked = f"GET /live/ticks HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
            live.sendall(asked.encode())
            page = live.makefile("rb")
            assert b"200" in page.readline()
            while page.readline() != b"retry: 2000\n":
                pass
            process.send_signal(signal.SIGINT)
            asked_at = time.monotonic()
            # Its last chunk, which says that the stream was ended and did not break.
            assert page.read().endswith(b"0\r\n\r\n")
            assert time.monotonic() - asked_at < STOP_S
            assert process.wait(timeout=20) == 0


def _signed_in(folder: Path) -> str:
    """Make a viewer in a center that does not run; return the cookie of their session."""
    at, secret, center = datetime.now(UTC), new_secret(), CenterFolder(folder)
    records = open_records(center.records_url)
    person = Person(
        id=UserId("u-vera"),
        organisation=OrganisationId("main"),
        email="vera@example.org",
        name="Vera",
        role=Role.VIEWER,
        created_at=at,
    )
    records.people.add(person)
    key = hash_secret(Purpose.SESSION, secret)
    records.sessions.open(person.organisation, person.id, key, at, at + timedelta(hours=1))
    records.close()
    return f"redoubt_session_{center_name(center.key())}={secret}"


def test_a_port_that_is_taken_is_said_in_a_sentence(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = redoubt("run", folder, "--web-listen", f"127.0.0.1:{port}", expect=2)
    assert "Address already in use" in refused.stderr
    assert "--web-listen" in refused.stderr


def test_the_web_port_speaks_tls_by_the_centers_own_authority(folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(folder / "keys" / "ca.crt"))
    with running(folder, "https://127.0.0.1:0") as (url, _):
        assert url.startswith("https://")
        assert "Sign in" in get(f"{url}/sign-in", context)


def test_plain_http_beyond_loopback_is_refused_in_a_sentence(folder: Path) -> None:
    refused = redoubt("run", folder, "--web-listen", "http://0.0.0.0:8080", expect=2)
    assert "loopback only" in refused.stderr


def console(*arguments: str | Path, expect: int = 0) -> Result:
    """The same commands within this process, which is quicker."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(done.exception, InputError):
        return Result(
            runner=done.runner,
            stdout_bytes=done.stdout_bytes,
            stderr_bytes=done.stderr_bytes,
            output_bytes=str(done.exception).encode(),
            return_value=None,
            exit_code=2,
            exception=None,
        )
    assert done.exit_code == expect, done.output
    return done


def test_the_console_registers_previews_exports_and_backs_up(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "register.toml"
    file.write_text(write_toml(SMALL), encoding="utf-8")
    preview = console("register", "preview", folder, file)
    assert "machines: 2 added" in preview.stdout
    assert console_register(folder, None).version == 0
    done = console("register", "import", folder, file, "--json")
    assert json.loads(done.stdout)["version"] == 1
    assert console("register", "import", folder, file).stdout.startswith("Nothing differs")

    console("register", "export", folder, "--csv", tmp_path / "csv")
    names = sorted(path.name for path in (tmp_path / "csv").iterdir())
    assert names[0] == "buildings.csv"
    machines = tmp_path / "csv" / "machines.csv"
    machines.write_text(machines.read_text().replace("10.0.0.7", "10 0 0 7"), encoding="utf-8")
    bad = console("register", "import", folder, *(tmp_path / "csv").iterdir(), expect=2)
    assert "machines.csv:2: address: expected an IP address" in bad.output
    assert "Nothing was changed" in bad.output

    assert "give --name" in console("token", "site", folder, "new-site", expect=2).output
    made = console("token", "site", folder, "new-site", "--name", "New", "--json").stdout
    token = json.loads(made)["token"]
    assert len(parse_enrolment_token(token).fingerprint) == 64
    assert (
        "no organisation"
        in console("token", "site", folder, "x", "--organisation", "zeta", expect=2).output
    )

    api = console("token", "api", folder, "grafana", "--scope", "metrics", "--json").stdout
    assert json.loads(api)["token"].startswith("rda1.")
    assert "expected" in console("token", "api", folder, "x", "--scope", "all", expect=2).output
    assert console("agent", "list", folder, "--json").stdout == ""
    assert "no agent" in console("agent", "revoke", folder, "new-site", "a-1", expect=2).output

    saved = console("register", "export", folder).stdout
    console("backup", folder, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert "exists already" in console("backup", folder, tmp_path / "backup", expect=2).output
    console("restore", tmp_path / "backup", tmp_path / "again")
    restored = console("register", "export", tmp_path / "again").stdout
    assert restored.partition("\n")[2] == saved.partition("\n")[2]
    assert console_register(tmp_path / "again", None).version == 1002
    for name in ("signing.key", "ca.key"):
        again = tmp_path / "again" / "keys" / name
        assert again.read_bytes() == (folder / "keys" / name).read_bytes()
        assert again.stat().st_mode & 0o777 == 0o600
    assert "cannot be restored" in console("restore", file, tmp_path / "x", expect=2).output


def test_a_backup_of_a_running_center_says_what_it_leaves_out(folder: Path, tmp_path: Path) -> None:
    with running(folder):
        done = redoubt("backup", folder, tmp_path / "backup")
    assert "WITHOUT telemetry" in done.stderr
    redoubt("restore", tmp_path / "backup", tmp_path / "again")
    with running(tmp_path / "again") as (url, _):
        assert "Sign in" in get(f"{url}/sign-in")


def test_a_center_that_cannot_be_leaves_no_folder_behind(tmp_path: Path) -> None:
    folder = tmp_path / "center"
    for wrong in ("foo", "127.0.0.1:99999", "0.0.0.0:8099"):
        redoubt("init", folder, "--web-listen", wrong, expect=2)
    assert not folder.exists()
    link = json.loads(redoubt("init", folder, "--json").stdout)["link"]
    assert link.startswith("http://127.0.0.1:8080/link/")
