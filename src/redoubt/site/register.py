"""The site's slice of the register: only what its center signed, and never an older one.

The last good snapshot lies in DIR/register.snapshot, signature and all, and is verified again at
every start: who can write that file still cannot change what is allowed.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from redoubt.edge.files import write_file
from redoubt.edge.keys import AgentIdentity
from redoubt.model.errors import RemoteProtocolError
from redoubt.model.register import RegisterSlice
from redoubt.model.register.snapshot import SignedSnapshot, open_snapshot

_log = logging.getLogger(__name__)


class RegisterKeeper:
    """Holds the newest good slice. `current` is None until there was one.

    confirmed_at: when the center last said that `current` is the newest.
    refused: why the last snapshot was not taken, and when; None where it was.
    """

    def __init__(self, path: Path, center_key: Ed25519PublicKey, identity: AgentIdentity) -> None:
        self._path = path
        self._center_key = center_key
        self._identity = identity
        self.current: RegisterSlice | None = None
        self.confirmed_at: datetime | None = None
        self.refused: str | None = None
        self.refused_at: datetime | None = None

    @property
    def version(self) -> int:
        """The version at hand; 0 before the first snapshot."""
        return 0 if self.current is None else self.current.version

    def load(self) -> None:
        """Read the last good snapshot from the disk, if there is one that still verifies."""
        try:
            snapshot = msgspec.msgpack.decode(self._path.read_bytes(), type=SignedSnapshot)
            self.current = self._open(snapshot)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, RemoteProtocolError) as exc:
            _log.warning("%s is not used: %s", self._path, exc)

    def take(self, snapshot: SignedSnapshot, now: datetime) -> bool:
        """Keep a snapshot that is good and newer; return whether the register changed.

        A snapshot that is forged, of another site, or older is refused and remembered as such.
        Raises ServiceError where the disk refuses it; the snapshot is used all the same.
        """
        try:
            fresh = self._open(snapshot)
            if fresh.version < self.version:
                raise RemoteProtocolError(
                    f"register snapshot of version {fresh.version} is older than version "
                    f"{self.version} at hand"
                )
        except RemoteProtocolError as exc:
            if str(exc) != self.refused:
                _log.warning("register snapshot refused: %s", exc)
            self.refused, self.refused_at = str(exc), now
            return False
        self.confirm(now)
        if fresh.version == self.version:
            return False
        self.current = fresh
        write_file(self._path, msgspec.msgpack.encode(snapshot), mode=0o600)
        return True

    def confirm(self, now: datetime) -> None:
        """The center says that the register at hand is the newest."""
        self.confirmed_at = now
        self.refused = self.refused_at = None

    def _open(self, snapshot: SignedSnapshot) -> RegisterSlice:
        fresh = open_snapshot(snapshot, self._center_key)
        theirs = (fresh.organisation, fresh.site.id)
        if theirs != (self._identity.organisation, self._identity.site):
            raise RemoteProtocolError(
                f"register snapshot is of {'/'.join(theirs)}, not of "
                f"{self._identity.organisation}/{self._identity.site}"
            )
        return fresh
