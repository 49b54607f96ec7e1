"""A backup that somebody else has made or changed writes nothing outside of the new center."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from redoubt.center import backup
from redoubt.center.backup import back_up, restore
from redoubt.center.folder import make_center
from redoubt.center.settings import Settings
from redoubt.model.errors import InputError
from redoubt.model.register import Organisation
from tests.center.conftest import ACME, NOW


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A backup with a telemetry store like the real one: its links lead to folders beside them."""
    root = tmp_path / "center"
    make_center(root, Settings(), Organisation(ACME, "Acme"), NOW).close()
    store = root / "telemetry" / "chdb"
    (store / "store" / "426").mkdir(parents=True)
    (store / "store" / "426" / "rows.bin").write_bytes(b"rows")
    (store / "metadata").mkdir()
    (store / "metadata" / "default").symlink_to("../store/426")
    back_up(root, tmp_path / "good.tgz", NOW)
    return tmp_path / "good.tgz"


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member


def file(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(b"owned")
    return member


def changed(good: Path, members: Sequence[tarfile.TarInfo]) -> Path:
    evil = good.with_name("evil.tgz")
    with tarfile.open(good) as source, tarfile.open(evil, "w:gz") as target:
        for member in source:
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
        for member in members:
            target.addfile(member, io.BytesIO(b"owned") if member.isfile() else None)
    return evil


def beyond_the_longest_path() -> list[tarfile.TarInfo]:
    """Links so deep that resolving them is given up, and "data" filters of old let them through
    (CVE-2025-4517)."""
    long, members, path, steps = "d" * 247, [], "telemetry", "abcdefghijklmnop"
    for step in steps:
        members += [folder(f"{path}/{long}"), link(f"{path}/{step}", long)]
        path = f"{path}/{long}"
    deep = "/".join(steps) + "/" + "l" * 254
    members.append(link(f"telemetry/{deep}", "../" * len(steps)))
    members.append(link("telemetry/escape", f"{deep}/../.."))
    return [*members, file("telemetry/escape/owned")]


EVIL = {
    "the longest path": beyond_the_longest_path(),
    "through a link": [link("telemetry/out", ".."), file("telemetry/out/owned")],
    "absolute": [link("telemetry/out", "/tmp")],
    "upwards": [link("telemetry/chdb/out", "../../..")],
    "into the keys": [link("telemetry/chdb/out", "../../keys")],
    "a detour": [link("telemetry/out", "chdb/../../keys")],
    "by another link": [link("telemetry/a", "chdb"), link("telemetry/b", "a/store")],
    "to nothing": [link("telemetry/out", "nowhere")],
    "the store itself": [link("telemetry", "keys")],
    "a link for a key": [link("keys/web.key", "../records.sqlite")],
    "a folder of keys": [folder("keys/more"), file("keys/more/owned")],
    "dots": [file("telemetry/../../owned")],
    "from the root": [file("/telemetry/owned")],
    "a name that cannot be": [file("telemetry/a\nb")],
    "something else": [file("owned")],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL)
def test_what_leads_elsewhere_is_refused_and_nothing_is_written_outside(
    good: Path, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    evil, root = changed(good, members), tmp_path / "deep" / "new"
    with pytest.raises(InputError):
        restore(evil, root)
    assert not [path for path in tmp_path.rglob("owned") if not path.is_relative_to(root)]
    assert [path.name for path in root.parent.iterdir()] == ["new"]
    links = [path for path in root.rglob("*") if path.is_symlink()]
    assert all(path.resolve().is_relative_to(root / "telemetry") for path in links)


def test_the_stores_own_links_come_back(good: Path, tmp_path: Path) -> None:
    restore(good, tmp_path / "new")
    store = tmp_path / "new" / "telemetry" / "chdb"
    assert (store / "metadata" / "default").readlink() == Path("../store/426")
    assert (store / "metadata" / "default" / "rows.bin").read_bytes() == b"rows"


def test_too_many_files_are_refused(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "MAX_MEMBERS", 5)
    with pytest.raises(InputError, match="more than there is room for"):
        restore(good, tmp_path / "new")


def test_more_than_the_disk_has_room_for_is_refused_before_it_is_written(
    good: Path, tmp_path: Path
) -> None:
    huge, header = tmp_path / "huge.tgz", file("telemetry/huge")
    header.size = 1 << 60
    with tarfile.open(good) as source, gzip.open(huge, "wb") as target:
        first = next(iter(source))
        manifest = source.extractfile(first)
        assert manifest is not None
        target.write(first.tobuf() + manifest.read().ljust(512, b"\0") + header.tobuf())
    with pytest.raises(InputError, match="more than there is room for"):
        restore(huge, tmp_path / "new")
