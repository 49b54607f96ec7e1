"""Signed register slices for sites, and the bell that wakes the agents who wait for a new one.

Imports come in by the API of this process or by the command line beside it; the bell rings for
both, because it listens to the version in the records.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redoubt.center.trouble import Trouble
from redoubt.edge.records import Records
from redoubt.model.errors import RedoubtError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.model.register import RegisterSlice
from redoubt.model.register.snapshot import SignedSnapshot, sign_snapshot

LOG = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often the records are asked for a version that another process wrote."""


class RegisterFeed:
    def __init__(
        self, records: Records, key: Ed25519PrivateKey, clock: Callable[[], datetime]
    ) -> None:
        self._records = records
        self._key = key
        self._clock = clock
        self._versions: dict[OrganisationId, int] = {}
        self._bells: defaultdict[OrganisationId, asyncio.Event] = defaultdict(asyncio.Event)

    async def snapshot(self, organisation: OrganisationId, site: SiteId) -> SignedSnapshot | None:
        """Return what the site is allowed now, signed; None where it is not in the register."""
        found = await asyncio.to_thread(
            self._records.register.slice, organisation, site, self._clock()
        )
        return None if found is None else await asyncio.to_thread(self._sign, found)

    async def snapshot_after(
        self, organisation: OrganisationId, site: SiteId, version: int, timeout_s: float
    ) -> SignedSnapshot | None:
        """Return the slice as soon as the register is newer than `version`, else None in time.

        A version ahead of the register's is of a center that was restored from a backup: then too
        the site gets the slice, and its own rules decide.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    bell = self._bells[organisation]
                    if await self._version(organisation) != version:
                        snapshot = await self.snapshot(organisation, site)
                        if snapshot is not None:
                            return snapshot
                    await bell.wait()
        except TimeoutError:
            return None

    def ring(self, organisation: OrganisationId, version: int) -> None:
        """Wake everybody who waits for this register."""
        self._versions[organisation] = version
        self._bells.pop(organisation, asyncio.Event()).set()

    async def watch(self) -> None:
        """Ring for versions that other processes wrote; runs until it is cancelled.

        Records that fail are asked again, for ever.
        """
        trouble = Trouble(LOG, "looking for a newer register")
        while True:
            try:
                await self.look()
            except RedoubtError as exc:
                trouble.met(exc)
            else:
                trouble.over()
            await asyncio.sleep(WATCH_S)

    async def look(self) -> None:
        """Compare the versions in the records with those known, once."""
        for organisation, version in (
            await asyncio.to_thread(self._records.register.versions)
        ).items():
            if self._versions.get(organisation) != version:
                self.ring(organisation, version)

    async def _version(self, organisation: OrganisationId) -> int:
        if organisation not in self._versions:
            version = await asyncio.to_thread(self._records.register.version, organisation)
            self._versions.setdefault(organisation, version)
        return self._versions[organisation]

    def _sign(self, found: RegisterSlice) -> SignedSnapshot:
        return sign_snapshot(found, self._key)
