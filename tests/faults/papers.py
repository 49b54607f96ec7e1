"""Keys and certificates of one center and one agent, as files in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from redoubt.edge.keys import (
    AgentIdentity,
    Authority,
    issue_agent_certificate,
    issue_server_certificate,
    new_authority,
    new_key,
    request_certificate,
    save_authority,
    save_key,
)
from redoubt.model.ids import OrganisationId, SiteId

AGENT = AgentIdentity(OrganisationId("acme"), SiteId("bunker"), "agent-1")


def write_center(folder: Path, now: datetime | None = None) -> Authority:
    """Write ca.crt, ca.key, server.crt and server.key for 127.0.0.1."""
    now = now or datetime.now(UTC)
    authority = new_authority("test center", now)
    save_authority(authority, folder)
    key = new_key()
    save_key(key, folder / "server.key")
    certificate = issue_server_certificate(authority, key.public_key(), ["127.0.0.1"], now)
    (folder / "server.crt").write_text(certificate)
    return authority


def write_agent(
    folder: Path,
    authority: Authority,
    agent: AgentIdentity = AGENT,
    now: datetime | None = None,
    days: float = 7,
) -> None:
    """Write agent.crt and agent.key, signed by `authority`."""
    folder.mkdir(exist_ok=True)
    key = new_key()
    save_key(key, folder / "agent.key")
    certificate = issue_agent_certificate(
        authority, request_certificate(key), agent, now or datetime.now(UTC), days
    )
    (folder / "agent.crt").write_text(certificate)
    (folder / "ca.crt").write_text(authority.certificate_pem)
