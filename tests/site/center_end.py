"""The other end of a site's link, for tests: the real agent port over real TLS, with open hands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from aiohttp import web
from cryptography import x509

from redoubt.center.agent_port import AgentPort, Office, serve
from redoubt.edge.agent_link import Receipt
from redoubt.edge.batches import (
    Batch,
    BatchKind,
    MachineDetail,
    decode_details,
    decode_findings,
    decode_samples,
)
from redoubt.edge.enrolment import (
    AUTHORITY_PATH,
    ENROL_PATH,
    RENEW_PATH,
    EnrolmentToken,
    EnrolReply,
    EnrolRequest,
    RenewReply,
    RenewRequest,
    new_enrolment_token,
)
from redoubt.edge.keys import (
    AgentIdentity,
    Authority,
    check_renewal,
    issue_agent_certificate,
    issue_server_certificate,
    new_authority,
    new_key,
    new_signing_key,
    public_key_text,
    save_authority,
    save_key,
)
from redoubt.edge.spool import Key
from redoubt.edge.tls import server_context
from redoubt.model.errors import RemoteProtocolError, ServiceError
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Machine, RegisterSlice, Site
from redoubt.model.register.snapshot import SignedSnapshot, sign_snapshot
from redoubt.world import VirtualMachine

IDENTITY = AgentIdentity(OrganisationId("north"), SiteId("bunker"), "agent-1")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def allowed(machine: VirtualMachine) -> Machine:
    """Return the register's row of a virtual machine, known by its address alone."""
    return Machine(
        id=MachineId(machine.id),
        site=IDENTITY.site,
        make=machine.model.make,
        model=machine.model.name,
        family=machine.family,
        address=machine.address,
    )


class CenterEnd:
    """A center that keeps what it is brought in a dictionary.

    is_down: every agent request is refused with 503. takes_nothing: batches alone are.
    loses_answers: batches are kept, and the answer says that they were not. unreadable: bodies
    that it refuses to read. conflicting: keys under which it holds something else.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = clock
        self.authority: Authority = new_authority("test center", clock() - timedelta(days=1))
        self.signing_key = new_signing_key()
        self.token: EnrolmentToken = new_enrolment_token(self.authority.certificate)
        self.agent_url = ""
        self.web_url = ""
        self.received: dict[Key, Batch] = {}
        self.snapshot: SignedSnapshot | None = None
        self.is_down = self.takes_nothing = self.loses_answers = self.is_revoked = False
        self.unreadable: set[bytes] = set()
        self.conflicting: set[Key] = set()
        self.requests = 0
        self.renewals = 0
        save_authority(self.authority, folder)
        key = new_key()
        save_key(key, folder / "server.key")
        pem = issue_server_certificate(
            self.authority, key.public_key(), ["127.0.0.1", "localhost"], clock()
        )
        (folder / "server.crt").write_text(pem)

    def allow(self, *machines: Machine, version: int = 1) -> SignedSnapshot:
        """Make these machines the register of the site."""
        self.snapshot = sign_snapshot(
            RegisterSlice(
                organisation=IDENTITY.organisation,
                version=version,
                made_at=self.clock(),
                site=Site(id=IDENTITY.site, name="Bunker"),
                machines=machines,
            ),
            self.signing_key,
        )
        return self.snapshot

    def certificate_for(self, csr_pem: str, now: datetime | None = None) -> str:
        return issue_agent_certificate(self.authority, csr_pem, IDENTITY, now or self.clock())

    # -- what came -----------------------------------------------------------------------------

    def sample_rows(self) -> list[tuple[str, datetime, str]]:
        """Return (machine, at, state) of every row that came."""
        rows = []
        for batch in self._bodies(BatchKind.SAMPLES):
            table = decode_samples(batch)
            columns = [table[name].to_pylist() for name in ("machine", "at", "state")]
            rows += list(zip(*columns, strict=True))
        return rows

    def details(self) -> list[MachineDetail]:
        bodies = self._bodies(BatchKind.DETAILS)
        return [detail for body in bodies for detail in decode_details(body)]

    def events(self) -> list[FindingEvent]:
        bodies = self._bodies(BatchKind.FINDINGS)
        return [event for body in bodies for event in decode_findings(body)]

    def _bodies(self, kind: BatchKind) -> list[bytes]:
        return [batch.body for batch in self.received.values() if batch.kind is kind]

    # -- the agent port's office ---------------------------------------------------------------

    async def accept(self, agent: AgentIdentity, batches: list[Batch], now: datetime) -> Receipt:
        self.requests += 1
        if self.is_down or self.takes_nothing:
            raise ServiceError("down")
        if any(batch.body in self.unreadable for batch in batches):
            raise RemoteProtocolError("unreadable")
        keys = [(batch.epoch, batch.seq) for batch in batches]
        for key, batch in zip(keys, batches, strict=True):
            if key not in self.conflicting:
                assert self.received.setdefault(key, batch).digest == batch.digest
        if self.loses_answers:
            raise ServiceError("the answer is lost")
        conflicts = [key for key in keys if key in self.conflicting]
        return Receipt([key for key in keys if key not in self.conflicting], conflicts)

    async def snapshot_after(
        self, organisation: OrganisationId, site: SiteId, version: int, timeout_s: float
    ) -> SignedSnapshot | None:
        if self.is_down:
            raise ServiceError("down")
        return self.snapshot

    async def revoked(self, agent: AgentIdentity) -> bool:
        return self.is_revoked

    async def renew(self, shown: x509.Certificate, csr_pem: str) -> str | None:
        self.renewals += 1
        return self.certificate_for(csr_pem)

    # -- the web port's part in enrolment ------------------------------------------------------

    def web_application(self) -> web.Application:
        application = web.Application()
        application.router.add_get(AUTHORITY_PATH, self._authority)
        application.router.add_post(ENROL_PATH, self._enrol)
        application.router.add_post(RENEW_PATH, self._renew_expired)
        return application

    async def _authority(self, request: web.Request) -> web.Response:
        return web.Response(text=self.authority.certificate_pem)

    async def _enrol(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=EnrolRequest)
        if asked.token != str(self.token):
            return web.json_response({"error": "the token is not known"}, status=403)
        reply = EnrolReply(
            certificate_pem=self.certificate_for(asked.csr_pem),
            ca_pem=self.authority.certificate_pem,
            agent_url=self.agent_url,
            center_key=public_key_text(self.signing_key.public_key()),
            organisation=IDENTITY.organisation,
            site=IDENTITY.site,
        )
        return web.Response(body=msgspec.json.encode(reply), content_type="application/json")

    async def _renew_expired(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=RenewRequest)
        who = check_renewal(
            self.authority, asked.certificate_pem, asked.csr_pem, asked.signature_bytes()
        )
        assert who == IDENTITY
        self.renewals += 1
        reply = RenewReply(self.certificate_for(asked.csr_pem))
        return web.Response(body=msgspec.json.encode(reply), content_type="application/json")


@asynccontextmanager
async def center_end(
    folder: Path, clock: Callable[[], datetime] = utc_now, *, https: bool = False
) -> AsyncIterator[CenterEnd]:
    """Open a center's two ports on loopback."""
    end = CenterEnd(folder, clock)
    office = Office(
        accept=end.accept,
        snapshot_after=end.snapshot_after,
        is_revoked=end.revoked,
        renew=end.renew,
        clock=clock,
    )
    certificate, key = folder / "server.crt", folder / "server.key"
    context = server_context(certificate, key, folder / "ca.crt")
    runner = web.AppRunner(end.web_application(), access_log=None)
    await runner.setup()
    try:
        tls = server_context(certificate, key) if https else None
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        scheme = "https" if https else "http"
        end.web_url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        async with serve(AgentPort(office), context, "127.0.0.1", 0) as number:
            end.agent_url = f"https://127.0.0.1:{number}"
            yield end
    finally:
        await runner.cleanup()
