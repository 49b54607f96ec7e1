"""A site agent over 1,000 machines polled every 15 s: CPU and memory of the real process.

`redoubt site run` over `redoubt world run`, both as users start them, with a link to an agent port
that takes everything. Must reach: 25 % of a core, 250 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from bench._virtual import virtual_world
from redoubt.center.agent_port import AgentPort, Office, serve
from redoubt.edge.agent_link import Receipt
from redoubt.edge.batches import Batch, BatchKind
from redoubt.edge.keys import (
    AgentIdentity,
    issue_agent_certificate,
    issue_server_certificate,
    new_authority,
    new_key,
    new_signing_key,
    public_key_text,
    request_certificate,
    save_authority,
    save_key,
)
from redoubt.edge.tls import server_context
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.register import Machine, RegisterSlice, Site
from redoubt.model.register.snapshot import SignedSnapshot, sign_snapshot
from redoubt.site.config import SiteConfig, save_config
from redoubt.site.folder import SiteFolder

MACHINES = int(os.environ.get("REDOUBT_BENCH_MACHINES", "1000"))
CADENCE_S = 15.0
WARM_UP_S = 45.0
MEASURED_S = 120.0
NETWORK = "127.83.0.0/16"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-agent-") as name:
        folder = Path(name)
        options = ("--credentials", str(folder / "credentials.toml"))
        with virtual_world(MACHINES, NETWORK, *options) as world:
            asyncio.run(_measure(folder, world))


class _Sink:
    """A center that counts rows and keeps nothing."""

    def __init__(self, folder: Path, world: dict[str, Any]) -> None:
        self.now = datetime.now(UTC)
        self.signing_key = new_signing_key()
        self.identity = AgentIdentity(OrganisationId("bench"), SiteId("bunker"), "agent")
        self.slice = RegisterSlice(
            organisation=self.identity.organisation,
            version=1,
            made_at=self.now,
            site=Site(id=self.identity.site, name="Virtual bunker", virtual=True),
            machines=tuple(
                Machine(
                    id=MachineId(machine["id"]),
                    site=self.identity.site,
                    make="virtual",
                    model="virtual",
                    family=machine["family"],
                    address=machine["address"],
                )
                for machine in world["machines"]
            ),
        )
        self.folder = folder
        self.authority = new_authority("bench", self.now)
        self.rows = 0
        self.body_bytes = 0
        self.sample_bytes = 0

    async def accept(self, agent: AgentIdentity, batches: list[Batch], now: datetime) -> Receipt:
        for batch in batches:
            self.body_bytes += len(batch.body)
            if batch.kind is BatchKind.SAMPLES:
                self.rows += batch.rows
                self.sample_bytes += len(batch.body)
        return Receipt([(batch.epoch, batch.seq) for batch in batches])

    async def snapshot_after(
        self, organisation: OrganisationId, site: SiteId, version: int, timeout_s: float
    ) -> SignedSnapshot | None:
        if version == self.slice.version:
            await asyncio.sleep(timeout_s)
            return None
        return sign_snapshot(self.slice, self.signing_key)

    async def is_revoked(self, agent: AgentIdentity) -> bool:
        return False

    async def renew(self, shown: x509.Certificate, csr_pem: str) -> str | None:
        return None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        key = new_key()
        save_authority(self.authority, self.folder)
        save_key(key, self.folder / "server.key")
        pem = issue_server_certificate(self.authority, key.public_key(), ["127.0.0.1"], self.now)
        (self.folder / "server.crt").write_text(pem)
        context = server_context(
            self.folder / "server.crt", self.folder / "server.key", self.folder / "ca.crt"
        )

        office = Office(
            accept=self.accept,
            snapshot_after=self.snapshot_after,
            is_revoked=self.is_revoked,
            renew=self.renew,
            clock=lambda: datetime.now(UTC),
        )
        async with serve(AgentPort(office), context, "127.0.0.1", 0) as port:
            yield f"https://127.0.0.1:{port}"

    def enrol(self, site: SiteFolder, agent_url: str, ports: dict[str, int]) -> None:
        """Write the folder that `redoubt site init` would."""
        site.path.mkdir()
        key = new_key()
        save_key(key, site.key)
        site.certificate.write_text(
            issue_agent_certificate(
                self.authority, request_certificate(key), self.identity, self.now
            )
        )
        site.authority.write_text(self.authority.certificate_pem)
        site.center_key.write_text(public_key_text(self.signing_key.public_key()))
        (self.folder / "credentials.toml").rename(site.credentials)
        config = SiteConfig(
            center="http://127.0.0.1:1",
            agent_url=agent_url,
            organisation=self.identity.organisation,
            site=self.identity.site,
            cadence_s=CADENCE_S,
            ports=ports,
        )
        save_config(config, site)


async def _measure(folder: Path, world: dict[str, Any]) -> None:
    sink = _Sink(folder, world)
    site = SiteFolder(folder / "site")
    async with sink.listening() as url:
        sink.enrol(site, url, world["ports"])
        agent = _start(site, folder / "agent.log")
        try:
            await _report(agent, sink)
        finally:
            agent.terminate()
            began = time.monotonic()
            agent.wait(10)
            print(f"stopped in {time.monotonic() - began:.2f} s (must be within 2 s)")
    words = (folder / "agent.log").read_text(encoding="utf-8").splitlines()
    print(f"the agent said {len(words)} lines; the first: {words[0] if words else ''}")


def _start(site: SiteFolder, log_file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "redoubt", "site", "run", str(site.path)]
    with log_file.open("wb") as log:
        return subprocess.Popen(command, stderr=log)


async def _report(agent: subprocess.Popen[bytes], sink: _Sink) -> None:
    await asyncio.sleep(WARM_UP_S)
    cpu_s, rows, body_bytes = _cpu_s(agent.pid), sink.rows, sink.body_bytes
    sample_bytes, began = sink.sample_bytes, time.monotonic()
    rss_mb = 0.0
    while time.monotonic() - began < MEASURED_S:
        await asyncio.sleep(1)
        rss_mb = max(rss_mb, _rss_mb(agent.pid))
    took_s = time.monotonic() - began
    share = (_cpu_s(agent.pid) - cpu_s) / took_s
    got = sink.rows - rows
    print(f"{MACHINES} machines every {CADENCE_S:g} s, over {took_s:.0f} s after {WARM_UP_S:g} s:")
    print(f"CPU:  {share:.1%} of a core (must reach 25 %)")
    print(f"RSS:  {rss_mb:.0f} MB at most (must reach 250 MB)")
    due = MACHINES * took_s / CADENCE_S
    print(f"rows: {got} of {due:.0f} due; {(sink.sample_bytes - sample_bytes) / got:.1f} B/row,")
    print(f"      {(sink.body_bytes - body_bytes) / took_s / 1000:.1f} kB/s with details")


def _cpu_s(pid: int) -> float:
    """Return user and system time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    kb = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(kb) / 1000


if __name__ == "__main__":
    main()
