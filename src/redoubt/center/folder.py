"""A center's folder: what lies where, and how a new one is made."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redoubt.center.settings import SETTINGS_FILE, Settings, save_settings
from redoubt.edge.files import write_file
from redoubt.edge.keys import (
    Authority,
    load_authority,
    load_signing_key,
    new_authority,
    new_signing_key,
    public_key_text,
    save_authority,
    save_key,
)
from redoubt.edge.records import Records, open_records
from redoubt.model.errors import InputError, ServiceError
from redoubt.model.register import Organisation


class CenterRuns(InputError):
    """Another process runs a center in this folder."""


class CenterFolder:
    """The paths in DIR. Keys lie in a folder that only their owner can enter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys = root / "keys"
        self.signing_key = self.keys / "signing.key"
        self.ca_certificate = self.keys / "ca.crt"
        self.records = root / "records.sqlite"
        self.inbox = root / "inbox.sqlite"
        self.telemetry = root / "telemetry"
        self.lock = root / "center.lock"

    @property
    def records_url(self) -> str:
        return f"sqlite:///{self.records.absolute()}"

    def authority(self) -> Authority:
        return load_authority(self.keys)

    def key(self) -> Ed25519PrivateKey:
        return load_signing_key(self.signing_key)


def make_center(
    root: Path, settings: Settings, organisation: Organisation, now: datetime
) -> Records:
    """Make a new center in `root` and return its open records.

    Raises InputError where `root` holds something already, ServiceError where it cannot be written.
    """
    folder = CenterFolder(root)
    if root.is_dir() and any(root.iterdir()):
        made = "a control center already" if (root / SETTINGS_FILE).exists() else "files already"
        raise InputError(f"{root} holds {made}: name an empty or a new folder")
    for path in (root, folder.keys, folder.telemetry):
        _make_folder(path)
    signing_key = new_signing_key()
    save_key(signing_key, folder.signing_key)
    public = public_key_text(signing_key.public_key())
    write_file(folder.keys / "signing.pub", f"{public}\n".encode(), mode=0o644)
    save_authority(new_authority(f"Redoubt center {center_name(signing_key)}", now), folder.keys)
    records = open_records(folder.records_url)
    folder.records.chmod(0o600)
    records.people.add_organisation(organisation, now)
    # Last, because it is what makes the folder a center.
    save_settings(settings.check(), root)
    return records


def center_name(key: Ed25519PrivateKey) -> str:
    """Return 8 hex digits that tell this center from others."""
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:8]


@contextmanager
def only_one(folder: CenterFolder) -> Iterator[None]:
    """Hold the folder against a second center. Raises CenterRuns where there is one."""
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise CenterRuns(f"a control center is running in {folder.root} already") from exc
    finally:
        os.close(descriptor)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that was there already may be open to others.
        path.chmod(0o700)
    except OSError as exc:
        raise ServiceError(f"cannot make {path}: {exc.strerror}") from exc
