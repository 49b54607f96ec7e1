"""DIR: everything that one site agent is, in one folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redoubt.model.errors import InputError


class SiteFolder:
    """The names of the files in DIR. Those that hold a secret are mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "site.toml"
        self.targets = path / "targets.toml"
        self.credentials = path / "credentials.toml"
        self.key = path / "agent.key"
        self.certificate = path / "agent.crt"
        self.authority = path / "ca.crt"
        self.center_key = path / "center.pub"
        self.spool = path / "spool.sqlite"
        self.snapshot = path / "register.snapshot"
        self._lock = path / "agent.lock"

    @property
    def is_enrolled(self) -> bool:
        """Whether enrolment came to its end: the configuration is the last file that it writes."""
        return self.config.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the folder for this process.

        Raises InputError where another one has it, or where there is no such folder.
        """
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise InputError(
                f"{self.path} cannot be used as a site's folder ({exc.strerror}): "
                "enrol it with `redoubt site init`"
            ) from exc
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise InputError(f"a site agent is already running in {self.path}") from exc
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Whether an agent is running in DIR now."""
        try:
            with self.locked():
                return False
        except InputError:
            return True
