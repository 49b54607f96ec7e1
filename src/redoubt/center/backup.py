"""A center in one file: settings, keys, records, inbox and, where it is at rest, its telemetry.

The databases are copied by SQLite's backup API, each consistent by itself while the center runs; a
group of batches that was on its way between them is carried on again, and counted once, because
the stores know it. The telemetry store belongs to the running process alone, so it is taken only
from a center that is stopped. The file is as secret as the keys in it: mode 0600.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from redoubt.center.folder import CenterFolder, CenterRuns, only_one
from redoubt.center.settings import SETTINGS_FILE, load_settings
from redoubt.edge.records import open_records
from redoubt.model.errors import InputError, ServiceError

FORMAT = 1
VERSIONS_SKIPPED = 1_000
"""Sites take only a register that is newer than theirs, and theirs may be newer than the backup."""

MAX_MEMBERS = 1_000_000
"""Entries of a backup: a telemetry store of years has some ten thousand files."""

_MANIFEST = "redoubt-center.json"
_DATABASES = ("records.sqlite", "inbox.sqlite")
_KEYS, _TELEMETRY = "keys", "telemetry"
_MAX_LINK = 1_000


class Manifest(msgspec.Struct, frozen=True):
    """The first entry of a backup. `has_telemetry` is False where the center was running."""

    format: int
    made_at: datetime
    has_telemetry: bool


def back_up(root: Path, target: Path, now: datetime) -> Manifest:
    """Write a backup of the center in `root` to `target`, which must be new.

    Raises InputError where `root` is no center or `target` exists, ServiceError where a disk fails.
    """
    load_settings(root)
    folder = CenterFolder(root)
    with ExitStack() as rest:
        try:
            rest.enter_context(only_one(folder))
            is_at_rest = True
        except CenterRuns:
            is_at_rest = False
        return _write(folder, target, Manifest(FORMAT, now, has_telemetry=is_at_rest))


def restore(source: Path, root: Path) -> Manifest:
    """Make the center in backup `source` anew in `root`, an empty or a new folder.

    Raises InputError where `root` holds something or `source` is no backup.
    """
    if root.is_dir() and any(root.iterdir()):
        raise InputError(f"{root} holds files already: name an empty or a new folder")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tarfile.open(source, "r:gz") as archive:
            manifest = _manifest(archive, source)
            _unpack(archive, root)
    except (OSError, EOFError, tarfile.TarError) as exc:
        raise InputError(f"{source} cannot be restored: {exc}") from exc
    _close_to_others(root)
    (root / _TELEMETRY).mkdir(mode=0o700, exist_ok=True)
    load_settings(root)
    records = open_records(CenterFolder(root).records_url)
    records.register.skip_versions(VERSIONS_SKIPPED)
    records.close()
    return manifest


def _write(folder: CenterFolder, target: Path, manifest: Manifest) -> Manifest:
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise InputError(f"{target} exists already: name a new file") from exc
    except OSError as exc:
        raise ServiceError(f"cannot write {target}: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                _fill(archive, folder, manifest)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, sqlite3.Error) as exc:
        with suppress(OSError):
            target.unlink()
        raise ServiceError(f"the backup could not be written: {exc}") from exc
    return manifest


def _fill(archive: tarfile.TarFile, folder: CenterFolder, manifest: Manifest) -> None:
    data = msgspec.json.encode(manifest)
    entry = tarfile.TarInfo(_MANIFEST)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))
    archive.add(folder.root / SETTINGS_FILE, SETTINGS_FILE)
    archive.add(folder.keys, _KEYS)
    # Beside the backup, where there is room for it, and in a folder that nobody else can enter.
    with tempfile.TemporaryDirectory(dir=folder.root, prefix=".backup-") as scratch:
        for name in _DATABASES:
            if (folder.root / name).exists():
                copy = Path(scratch) / name
                _copy_database(folder.root / name, copy)
                archive.add(copy, name)
                copy.unlink()
    if manifest.has_telemetry:
        archive.add(folder.telemetry, _TELEMETRY)


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


def _manifest(archive: tarfile.TarFile, source: Path) -> Manifest:
    first = archive.next()
    file = archive.extractfile(first) if first and first.name == _MANIFEST else None
    try:
        if file is None:
            raise ValueError
        manifest = msgspec.json.decode(file.read(4096), type=Manifest)
    except (ValueError, msgspec.DecodeError) as exc:
        raise InputError(f"{source} is no backup of a control center") from exc
    if manifest.format != FORMAT:
        raise InputError(
            f"{source} is a backup of format {manifest.format}, this Redoubt reads {FORMAT}"
        )
    return manifest


def _unpack(archive: tarfile.TarFile, root: Path) -> None:
    """Unpack what belongs in a center's folder; a backup has nothing else.

    Links come last, when nothing more is written through them.
    """
    room_bytes, links = shutil.disk_usage(root).free, []
    for count, member in enumerate(archive):
        room_bytes -= member.size
        if count >= MAX_MEMBERS or room_bytes < 0:
            raise InputError(f"the backup holds more than there is room for in {root}")
        if _is_expected(member) and member.issym():
            links.append(member)
        elif _is_expected(member):
            archive.extract(member, root, filter="data")
        elif member.name != _MANIFEST:
            raise InputError(f"a backup of a control center does not hold {member.name[:80]!r}")
    # All of them are looked at while there is none, so that no name leads by another.
    targets = [_target(link, root) for link in links]
    for link, target in zip(links, targets, strict=True):
        (root / link.name).symlink_to(target)


def _is_expected(member: tarfile.TarInfo) -> bool:
    path = PurePosixPath(member.name)
    is_clean = member.name == str(path) and member.name.isprintable()
    if not is_clean or path.is_absolute() or ".." in path.parts:
        return False
    if member.isfile() and member.name in (SETTINGS_FILE, *_DATABASES):
        return True
    if path.parts[0] == _TELEMETRY:
        return member.isfile() or member.isdir() or (member.issym() and len(path.parts) > 1)
    is_key = member.isfile() and len(path.parts) == 2
    return path.parts[0] == _KEYS and (is_key or (member.isdir() and len(path.parts) == 1))


def _target(link: tarfile.TarInfo, root: Path) -> str:
    """Return where a link of the telemetry store is to lead: from a folder to what is there.

    Raises InputError where it leads out of the store, to nothing, or by a detour.
    """
    parent = PurePosixPath(link.name).parent
    steps = PurePosixPath(link.linkname).parts
    ups = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    is_plain = len(link.linkname) <= _MAX_LINK and ".." not in steps[ups:]
    # What is left of the parent begins with the store's own folder, or the link leads out of it.
    if not is_plain or link.linkname.startswith("/") or ups >= len(parent.parts):
        raise InputError(f"the backup's link {link.name[:80]!r} leads out of its telemetry")
    target = root.joinpath(*parent.parts[: len(parent.parts) - ups], *steps[ups:])
    if not (root / parent).is_dir() or not target.exists():
        raise InputError(f"the backup's link {link.name[:80]!r} leads to nothing")
    return link.linkname


def _close_to_others(root: Path) -> None:
    for path in (root, root / _KEYS):
        path.chmod(0o700)
    for path in (root / SETTINGS_FILE, *(root / name for name in _DATABASES)):
        if path.exists():
            path.chmod(0o600)
    for path in (root / _KEYS).iterdir():
        path.chmod(0o644 if path.suffix in (".crt", ".pub") else 0o600)
