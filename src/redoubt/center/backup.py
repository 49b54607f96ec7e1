"""A center in one file: settings, keys, records, inbox and, where it is at rest, its telemetry.

The databases are copied by SQLite's backup API, each consistent by itself while the center runs; a
group of batches that was on its way between them is carried on again, and counted once, because
the stores know it. The telemetry store belongs to the running process alone, so it is taken only
from a center that is stopped. The file is as secret as the keys in it: mode 0600.
"""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from redoubt.center.folder import CenterFolder, CenterRuns, only_one
from redoubt.center.settings import SETTINGS_FILE, load_settings
from redoubt.edge.records import open_records
from redoubt.model.errors import InputError, ServiceError

FORMAT = 1
VERSIONS_SKIPPED = 1_000
"""Sites take only a register that is newer than theirs, and theirs may be newer than the backup."""

_MANIFEST = "redoubt-center.json"
_DATABASES = ("records.sqlite", "inbox.sqlite")
_FOLDERS = ("keys", "telemetry")


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
    if root.exists() and any(root.iterdir()):
        raise InputError(f"{root} holds files already: name an empty or a new folder")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tarfile.open(source, "r:gz") as archive:
            manifest = _manifest(archive, source)
            archive.extractall(root, members=_expected(archive), filter="data")
    except (OSError, EOFError, tarfile.TarError) as exc:
        raise InputError(f"{source} cannot be restored: {exc}") from exc
    _close_to_others(root)
    (root / "telemetry").mkdir(mode=0o700, exist_ok=True)
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
    archive.add(folder.keys, "keys")
    # Beside the backup, where there is room for it, and in a folder that nobody else can enter.
    with tempfile.TemporaryDirectory(dir=folder.root, prefix=".backup-") as scratch:
        for name in _DATABASES:
            if (folder.root / name).exists():
                copy = Path(scratch) / name
                _copy_database(folder.root / name, copy)
                archive.add(copy, name)
                copy.unlink()
    if manifest.has_telemetry:
        archive.add(folder.telemetry, "telemetry")


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


def _expected(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield what belongs in a center's folder; a backup has nothing else."""
    for member in archive:
        top = member.name.partition("/")[0]
        plain = member.isfile() and member.name in (SETTINGS_FILE, *_DATABASES)
        inside = top in _FOLDERS and (member.isfile() or member.isdir() or member.issym())
        if plain or inside:
            yield member
        elif member.name != _MANIFEST:
            raise InputError(f"a backup of a control center does not hold {member.name[:80]!r}")


def _close_to_others(root: Path) -> None:
    for path in (root, root / "keys"):
        path.chmod(0o700)
    for path in (root / SETTINGS_FILE, *(root / name for name in _DATABASES)):
        if path.exists():
            path.chmod(0o600)
    for path in (root / "keys").iterdir():
        path.chmod(0o644 if path.suffix in (".crt", ".pub") else 0o600)
