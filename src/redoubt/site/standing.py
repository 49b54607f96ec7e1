"""How a site stands, told from its folder: for a person beside the running agent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from redoubt.edge.keys import (
    is_expired,
    load_certificate,
    parse_agent_identity,
    renewal_due_at,
)
from redoubt.edge.spool import Spool
from redoubt.model.units import format_duration
from redoubt.site.config import load_config
from redoubt.site.folder import SiteFolder
from redoubt.site.run import load_register

_RENEWAL_PATIENCE = timedelta(hours=6)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`problems` are sentences about what a person should look at."""

    site: str
    organisation: str
    agent: str
    center: str
    is_running: bool
    certificate_expires_at: datetime
    register_version: int
    machines_registered: int
    batches_waiting: int
    oldest_waiting_at: datetime | None
    spool_bytes: int
    spool_limit_bytes: int
    rows_lost: int
    batches_aside: int
    at: datetime
    problems: tuple[str, ...]


def look_at_site(
    folder: SiteFolder, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Standing:
    """Raises InputError where DIR is no site, ServiceError where its spool cannot be read."""
    config = load_config(folder)
    certificate = load_certificate(folder.certificate)
    identity = parse_agent_identity(certificate)
    register = load_register(folder, identity)
    spool = Spool(folder.spool, limit_bytes=config.spool_limit_mb * 1024**2)
    try:
        state = spool.state()
    finally:
        spool.close()
    now = clock()
    problems = []
    if is_expired(certificate, now):
        problems.append("the agent's certificate has expired")
    elif now > renewal_due_at(certificate) + _RENEWAL_PATIENCE:
        problems.append("the agent's certificate should have been renewed by now")
    if register.current is None:
        problems.append("no register came from the center yet")
    if state.rows_lost:
        problems.append(f"{state.rows_lost} rows of telemetry made room in a full spool")
    if state.aside:
        problems.append(f"{state.aside} batches could not be delivered as they were")
    return Standing(
        site=identity.site,
        organisation=identity.organisation,
        agent=identity.agent,
        center=config.center,
        is_running=folder.is_locked(),
        certificate_expires_at=certificate.not_valid_after_utc,
        register_version=register.version,
        machines_registered=0 if register.current is None else len(register.current.machines),
        batches_waiting=state.batches,
        oldest_waiting_at=state.oldest_at,
        spool_bytes=state.size_bytes,
        spool_limit_bytes=state.limit_bytes,
        rows_lost=state.rows_lost,
        batches_aside=state.aside,
        at=now,
        problems=tuple(problems),
    )


def standing_lines(standing: Standing) -> list[str]:
    """Return the standing for people."""
    waiting = f"{standing.batches_waiting} batches, {standing.spool_bytes / 1e6:.1f} MB"
    if standing.oldest_waiting_at is not None:
        age_s = (standing.at - standing.oldest_waiting_at).total_seconds()
        waiting += f", the oldest {format_duration(age_s)} old"
    valid_s = (standing.certificate_expires_at - standing.at).total_seconds()
    return [
        f"site          {standing.site} of {standing.organisation}, agent {standing.agent}",
        f"center        {standing.center}",
        f"agent         {'running' if standing.is_running else 'not running'}",
        f"certificate   valid for {format_duration(valid_s)}",
        f"register      version {standing.register_version}, "
        f"{standing.machines_registered} machines",
        f"waiting       {waiting}",
        *(f"look at this: {problem}" for problem in standing.problems),
    ]
