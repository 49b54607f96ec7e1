"""Finding machines: every address that answers, and nothing lost in silence.

Each address is asked the probe of every family, at the ports where families listen. A connection
that nobody answered is tried again, with more time; a machine that accepts and does not answer is
told as such. Only reading calls are made, and no password is ever sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from socket import SOCK_STREAM

import msgspec

from redoubt.edge.miner import ConnectRefused, ConnectTimeout, MinerClient
from redoubt.edge.miner.client import utc_now
from redoubt.edge.miner.pace import Pace
from redoubt.machines import Bounds, Call, Driver, Endpoint, Reply, drivers, service_ports
from redoubt.model.errors import InputError, NeedsAuth, RemoteError, RemoteTimeout
from redoubt.model.ids import MachineId
from redoubt.model.status import MachineState, MachineStatus, Note
from redoubt.site.credentials import Credentials
from redoubt.site.networks import Network, addresses, check_own, is_loopback
from redoubt.site.poller import Poller, Target
from redoubt.site.side_by_side import side_by_side

DEFAULT_RATE = 200.0
"""New connections a second: kind to the switches and small controllers of a mine."""
LOOPBACK_RATE = 4000.0
CONNECTIONS = 2048
"""Sockets at once, where the system allows so many."""
TIMEOUTS_S = (2.5, 6.0)
"""Of the first try and of the second: a full queue of connections drops some, and Linux asks again
after 1 and 3 seconds."""
_NO_API = "speaks no API I know"


class Progress(msgspec.Struct):
    """How far a scan is; one value that is updated in place."""

    addresses: int
    done: int = 0
    found: int = 0
    unknown: int = 0
    refused: int = 0
    silent: int = 0


class Answer(StrEnum):
    """What came of a probe, from nothing to a family."""

    SILENT = "silent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    KNOWN = "known"


class _Outcome(msgspec.Struct, frozen=True):
    answer: Answer
    port: int
    text: str = ""
    driver: Driver | None = None
    reply: Reply | None = None
    needs_auth: bool = False


class _Probe(msgspec.Struct, frozen=True):
    """One call to one port, and the families that its reply may show."""

    port: int
    call: Call
    families: tuple[Driver, ...]


def parse_ports(texts: Sequence[str]) -> dict[str, int]:
    """Return ports by service from "antminer=14028" and the like. Raises InputError otherwise."""
    known = service_ports()
    ports: dict[str, int] = {}
    for text in texts:
        service, _, number = text.partition("=")
        if service not in known:
            raise InputError(
                f"expected SERVICE=PORT with a service of {', '.join(known)}, got {text[:80]!r}"
            )
        if not number.isdecimal() or not 0 < int(number[:6]) < 65536:
            raise InputError(f"expected a port of 1 to 65535 for {service}, got {number[:40]!r}")
        ports[service] = int(number)
    return ports


async def scan(
    networks: Sequence[Network],
    ports: Mapping[str, int] | None = None,
    *,
    rate: float | None = None,
    concurrency: int = 1024,
    connections: int = CONNECTIONS,
    timeouts_s: Sequence[float] = TIMEOUTS_S,
    skip: Collection[str] = (),
    now: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[MachineStatus, None]:
    """Yield one status per address that answers, as it is found.

    ports: by service, where they are not the usual ones. rate: new connections a second.
    concurrency: addresses at once; connections: sockets at once. However large they are, none is
    lost: waiting costs no deadline. skip: addresses to leave alone. Whoever stops early closes the
    iterator.
    """
    wanted = [address for address in addresses(networks) if address not in skip]
    progress = Progress(addresses=len(wanted))
    pace = Pace(rate or (LOOPBACK_RATE if is_loopback(networks) else DEFAULT_RATE))
    client = MinerClient(connections, now=now, pace=pace)
    scanner = _Scanner(client, dict(ports or {}), tuple(timeouts_s), now)
    at_once = max(1, min(concurrency, len(wanted)))
    async with aclosing(side_by_side(wanted, scanner.scan_address, at_once)) as results:
        async for status, answer in results:
            _count(progress, answer)
            if on_progress is not None:
                on_progress(progress)
            if status is not None:
                yield status


async def find_one(
    address: str,
    ports: Mapping[str, int] | None = None,
    *,
    credentials: Credentials | None = None,
    now: Callable[[], datetime] = utc_now,
) -> MachineStatus | None:
    """Return what answers at one address, whatever its family, or None where nothing does.

    Unlike a scan it uses the login that `credentials` have for the machine.
    """
    scanner = _Scanner(MinerClient(now=now), dict(ports or {}), TIMEOUTS_S, now, credentials)
    status, _answer = await scanner.scan_address(address)
    return status


async def resolve(address: str) -> str:
    """Return the numeric address of a machine on one's own networks, from that or from a name.

    Raises InputError where the name has none, or a public one.
    """
    try:
        return str(check_own(ipaddress.ip_address(address)))
    except ValueError:
        pass
    if not any(letter.isalpha() for letter in address):
        raise InputError(f"expected an address such as 10.0.0.7, or a name, got {address[:80]!r}")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, None, type=SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise InputError(f"no address is known for the name {address[:80]!r}") from exc
    return str(check_own(ipaddress.ip_address(found[0][4][0])))


def _count(progress: Progress, answer: Answer) -> None:
    progress.done += 1
    match answer:
        case Answer.KNOWN:
            progress.found += 1
        case Answer.UNKNOWN:
            progress.unknown += 1
        case Answer.REFUSED:
            progress.refused += 1
        case Answer.SILENT:
            progress.silent += 1


class _Scanner:
    def __init__(
        self,
        client: MinerClient,
        ports: dict[str, int],
        timeouts_s: tuple[float, ...],
        now: Callable[[], datetime],
        credentials: Credentials | None = None,
    ) -> None:
        self._client = client
        self._ports = ports
        self._timeouts_s = timeouts_s
        self._now = now
        self._poller = Poller(credentials, now=now, client=client)
        self._by_port = _probes_by_port(ports)

    async def scan_address(self, address: str) -> tuple[MachineStatus | None, Answer]:
        """Return the status of what answers there, and what the best of its answers was."""
        per_port = await asyncio.gather(
            *(self._probe_port(address, probes) for probes in self._by_port.values())
        )
        outcomes = [outcome for outcomes in per_port for outcome in outcomes]
        known = [outcome for outcome in outcomes if outcome.answer is Answer.KNOWN]
        if known:
            return await self._read(address, known[0], outcomes), Answer.KNOWN
        answering = [outcome for outcome in outcomes if outcome.answer is Answer.UNKNOWN]
        if answering:
            return _unknown_status(address, answering, self._now()), Answer.UNKNOWN
        refused = any(outcome.answer is Answer.REFUSED for outcome in outcomes)
        return None, Answer.REFUSED if refused else Answer.SILENT

    async def _probe_port(self, address: str, probes: list[_Probe]) -> list[_Outcome]:
        """Ask one port each of its probes, one after another, until one is answered by a family."""
        outcomes: list[_Outcome] = []
        for probe in probes:
            outcome = await self._probe(address, probe)
            outcomes.append(outcome)
            if outcome.answer is not Answer.UNKNOWN:
                break
        return outcomes

    async def _probe(self, address: str, probe: _Probe) -> _Outcome:
        outcome = _Outcome(Answer.SILENT, probe.port)
        for timeout_s in self._timeouts_s:
            try:
                reply = await self._ask(address, probe, timeout_s)
            except ConnectTimeout:
                continue
            except ConnectRefused:
                return _Outcome(Answer.REFUSED, probe.port)
            except RemoteTimeout as exc:
                text = f"takes the connection and says nothing it should ({exc})"
                outcome = _Outcome(Answer.UNKNOWN, probe.port, text)
                continue
            except NeedsAuth as exc:
                return _Outcome(Answer.UNKNOWN, probe.port, str(exc), needs_auth=True)
            except RemoteError as exc:
                outcome = _Outcome(Answer.UNKNOWN, probe.port, f"{_NO_API} ({exc})")
                continue
            return _recognise(probe, reply)
        return outcome

    async def _ask(self, address: str, probe: _Probe, timeout_s: float) -> Reply:
        bounds = Bounds(timeout_s=timeout_s, max_bytes=probe.call.bounds.max_bytes)
        call = msgspec.structs.replace(probe.call, bounds=bounds)
        return await self._client.ask(call, Endpoint(address, probe.port))

    async def _read(
        self, address: str, known: _Outcome, outcomes: Sequence[_Outcome]
    ) -> MachineStatus:
        """Read the machine in full, with what the probe already said."""
        driver, reply = known.driver, known.reply
        assert driver is not None
        assert reply is not None
        target = Target(
            machine=MachineId(f"scan-{address}"),
            address=address,
            family=driver.family,
            ports={name: self._ports[name] for name in driver.services if name in self._ports},
        )
        have = {driver.probe: reply}
        poll = await self._poller.poll(target, have=have)
        if poll.status.state in (MachineState.OFFLINE, MachineState.UNKNOWN):
            poll = await self._poller.poll(target, have=have)
        self._poller.forget(target.machine)
        status = poll.status
        if status.state is MachineState.OFFLINE:
            note = Note("reading_failed", "answers its probe and not the calls after it", "state")
            status = msgspec.structs.replace(
                status, state=MachineState.UNKNOWN, notes=(*status.notes, note)
            )
        return _with_others(status, driver, self._ports, outcomes)


def _probes_by_port(ports: Mapping[str, int]) -> dict[int, list[_Probe]]:
    """Return what to ask each port; families that share a probe share the question."""
    families: dict[tuple[int, str, bytes], list[Driver]] = {}
    calls: dict[tuple[int, str, bytes], Call] = {}
    for driver in drivers().values():
        call = driver.call(driver.probe)
        port = ports.get(call.service, driver.services[call.service])
        key = (port, call.transport, call.request)
        families.setdefault(key, []).append(driver)
        calls[key] = call
    by_port: dict[int, list[_Probe]] = {}
    for question, call in calls.items():
        probe = _Probe(question[0], call, tuple(families[question]))
        by_port.setdefault(probe.port, []).append(probe)
    return by_port


def _recognise(probe: _Probe, reply: Reply) -> _Outcome:
    for driver in probe.families:
        try:
            document = driver.decode(reply.body)
        except ValueError:
            continue
        if driver.is_family(document):
            return _Outcome(Answer.KNOWN, probe.port, "", driver, reply)
    return _Outcome(Answer.UNKNOWN, probe.port, _NO_API)


def _unknown_status(address: str, answering: Sequence[_Outcome], now: datetime) -> MachineStatus:
    """Return the status of an address that answers and that no driver knows, with what it did."""
    state = MachineState.UNKNOWN
    if all(outcome.needs_auth for outcome in answering):
        state = MachineState.NEEDS_AUTH
    return MachineStatus(
        address=address, at=now, state=state, notes=tuple(_note(outcome) for outcome in answering)
    )


def _with_others(
    status: MachineStatus,
    driver: Driver,
    ports: Mapping[str, int],
    outcomes: Sequence[_Outcome],
) -> MachineStatus:
    """Add notes on what else answers at the address, besides the family's own services."""
    own = {ports.get(name, port) for name, port in driver.services.items()}
    notes = tuple(
        _note(outcome)
        for outcome in outcomes
        if outcome.port not in own and outcome.answer in (Answer.UNKNOWN, Answer.KNOWN)
    )
    if not notes:
        return status
    return msgspec.structs.replace(status, notes=status.notes + notes)


def _note(outcome: _Outcome) -> Note:
    if outcome.driver is not None:
        text = f"also answers on {outcome.port} as {outcome.driver.title}"
        return Note("answers_as_another", text)
    return Note("answers_unknown", f"answers on {outcome.port}, {outcome.text}")
