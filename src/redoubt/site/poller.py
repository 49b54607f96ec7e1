"""Reading machines: the calls that are due, one after another, and many machines at once.

A machine that hangs, drips, truncates or lies costs itself only: each call is bounded from the
start of its I/O, and a service that did not answer one call is not asked the next in that poll.
Identity is asked at discovery, after a reboot, at a new address, and hourly; in between its last
replies stand, with the times at which they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta

import msgspec

from redoubt.edge.miner import HttpRefusal, Login, MinerClient
from redoubt.edge.miner.client import utc_now
from redoubt.machines import (
    Auth,
    Cadence,
    Call,
    Driver,
    Endpoint,
    Failure,
    Replies,
    Reply,
    find_driver,
    parse_status,
)
from redoubt.model.errors import NeedsAuth, RemoteError, RemoteProtocolError
from redoubt.model.ids import MachineId
from redoubt.model.status import MachineStatus
from redoubt.site.credentials import Credentials
from redoubt.site.side_by_side import side_by_side

IDENTITY_EVERY = timedelta(hours=1)
IDENTITY_RETRY = timedelta(minutes=5)
"""When identity is asked again after a machine did not answer it."""
_REBOOT_SLACK_S = 5
"""Uptime is whole seconds and machines round: so much less is no reboot."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A machine to read. `ports` are those that are not the family's usual ones, by service."""

    machine: MachineId
    address: str
    family: str
    ports: Mapping[str, int] = {}


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """One reading.

    replies: every call that stands behind the status, older identity replies included.
    factory_password: whether the machine took its family's factory login; None where not tried.
    """

    target: Target
    status: MachineStatus
    replies: Replies
    factory_password: bool | None = None


class _Known:
    """What is kept of a machine between two polls."""

    __slots__ = ("address", "identity", "identity_due", "lock", "uptime_s")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.address = ""
        self.identity: dict[str, Reply | Failure] = {}
        self.identity_due: datetime | None = None
        self.uptime_s: int | None = None


class Poller:
    """Reads machines; holds the last identity replies of each until `forget`."""

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
        client: MinerClient | None = None,
    ) -> None:
        self._credentials = credentials or Credentials()
        self._now = now
        self._client = client or MinerClient(now=now)
        self._known: dict[MachineId, _Known] = {}

    @property
    def calls_made(self) -> int:
        """How many calls have gone out to machines, over all polls."""
        return self._client.calls_made

    async def poll(self, target: Target, *, have: Mapping[str, Reply] | None = None) -> Poll:
        """Return one reading of a machine; never raises for a machine's fault.

        `have` are replies that just came, such as a scan's, and need not be asked again.
        Two polls of one machine wait for each other.
        """
        driver = find_driver(target.family)
        known = self._known.get(target.machine)
        if known is None:
            known = self._known[target.machine] = _Known()
        async with known.lock:
            return await self._poll(target, driver, known, have or {})

    async def sweep(
        self, targets: Iterable[Target], concurrency: int = 128
    ) -> AsyncGenerator[Poll, None]:
        """Yield a reading of every target as it comes, at most `concurrency` machines at once.

        Whoever stops early closes the iterator (`contextlib.aclosing`).
        """
        async with aclosing(side_by_side(targets, self.poll, concurrency)) as polls:
            async for poll in polls:
                yield poll

    def forget(self, machine: MachineId) -> None:
        """Drop what is kept of a machine that is gone."""
        self._known.pop(machine, None)

    async def _poll(
        self, target: Target, driver: Driver, known: _Known, have: Mapping[str, Reply]
    ) -> Poll:
        if known.address != target.address:
            known.address, known.identity, known.identity_due = target.address, {}, None
        round_ = _Round(self._client, driver, target, self._login(driver, target), self._now, have)
        replies: dict[str, Reply | Failure] = dict(known.identity)
        for call in driver.calls:
            if call.cadence is Cadence.STEADY:
                replies[call.name] = await round_.ask(call)
        status = self._parse(target, replies)
        if round_.answered and self._is_identity_due(known, status):
            for call in driver.calls:
                if call.cadence is Cadence.IDENTITY:
                    await self._refresh(known, replies, call, round_)
            known.identity_due = self._now() + (
                IDENTITY_RETRY if _is_unanswered(known.identity) else IDENTITY_EVERY
            )
            status = self._parse(target, replies)
        if status.uptime_s is not None:
            known.uptime_s = status.uptime_s
        return Poll(
            target=target,
            status=status,
            replies=replies,
            factory_password=_takes_factory_login(driver, replies, round_.login),
        )

    async def _refresh(
        self, known: _Known, replies: dict[str, Reply | Failure], call: Call, round_: _Round
    ) -> None:
        """Ask an identity call; a machine that is merely silent keeps what it said before."""
        reply = await round_.ask(call)
        before = known.identity.get(call.name)
        if isinstance(reply, Failure) and reply.reason == "no_reply" and isinstance(before, Reply):
            return
        known.identity[call.name] = replies[call.name] = reply

    def _is_identity_due(self, known: _Known, status: MachineStatus) -> bool:
        if known.identity_due is None or self._now() >= known.identity_due:
            return True
        uptime_s, before_s = status.uptime_s, known.uptime_s
        return (
            uptime_s is not None and before_s is not None and uptime_s < before_s - _REBOOT_SLACK_S
        )

    def _login(self, driver: Driver, target: Target) -> Login | None:
        if all(call.auth is Auth.NONE for call in driver.calls):
            return None
        return self._credentials.find(driver.family, target.address)

    def _parse(self, target: Target, replies: Replies) -> MachineStatus:
        return parse_status(target.family, replies, self._now(), address=target.address)


class _Round:
    """One poll's calls: asks each service until it fails to answer once."""

    def __init__(
        self,
        client: MinerClient,
        driver: Driver,
        target: Target,
        login: Login | None,
        now: Callable[[], datetime],
        have: Mapping[str, Reply],
    ) -> None:
        self.login = login
        self.answered = False
        self._client = client
        self._driver = driver
        self._target = target
        self._now = now
        self._have = have
        self._silent: dict[str, Failure] = {}

    async def ask(self, call: Call) -> Reply | Failure:
        if call.name in self._have:
            self.answered = True
            return self._have[call.name]
        silent = self._silent.get(call.service)
        if silent is not None:
            return silent
        port = self._target.ports.get(call.service, self._driver.services[call.service])
        try:
            endpoint = Endpoint(self._target.address, port)
            reply = await self._client.ask(call, endpoint, self.login)
        except NeedsAuth as exc:
            return Failure("needs_auth", str(exc), self._now())
        except RemoteProtocolError as exc:
            return Failure("bad_protocol", str(exc), self._now())
        except HttpRefusal as exc:
            return Failure("no_reply", str(exc), self._now())
        except RemoteError as exc:
            failure = Failure("no_reply", str(exc), self._now())
            self._silent[call.service] = failure
            return failure
        self.answered = True
        return reply


def _is_unanswered(identity: Replies) -> bool:
    return any(
        isinstance(reply, Failure) and reply.reason == "no_reply" for reply in identity.values()
    )


def _takes_factory_login(driver: Driver, replies: Replies, login: Login | None) -> bool | None:
    """Return whether the factory login was used with success; None where no login was tried."""
    if login is None:
        return None
    guarded = [replies.get(call.name) for call in driver.calls if call.auth is not Auth.NONE]
    if not any(isinstance(reply, Reply) for reply in guarded):
        return None
    return (login.user, login.password) in driver.factory_logins
