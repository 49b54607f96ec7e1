"""Files that are written whole or not at all, and survive a power cut once they are."""

from __future__ import annotations

import os
from pathlib import Path

from redoubt.model.errors import ServiceError


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path` whole or not at all, durably; others can never read it at mode 0600.

    Raises ServiceError where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as exc:
        raise ServiceError(f"cannot write {path}: {exc.strerror}") from exc


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
