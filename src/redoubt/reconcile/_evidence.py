"""How rules word their facts: one book each, values with units, outside text made harmless."""

from __future__ import annotations

from datetime import UTC, datetime

from redoubt.model.finding import Evidence, Scalar, Subject, SubjectKind
from redoubt.model.status import MachineStatus, PoolState, PoolStatus
from redoubt.reconcile.views import MachineView, SiteView

MACHINE_BOOK = "machine"
REGISTER_BOOK = "register"
AGENT_BOOK = "agent"
CENTER_BOOK = "center"

MAX_OUTSIDE_TEXT = 80


def machine_fact(machine: MachineView, text: str, **values: Scalar) -> Evidence:
    """Return what the machine itself said at its last reading."""
    if machine.status is None:
        raise ValueError("a fact of the machine book needs a reading")
    return Evidence(MACHINE_BOOK, machine.status.at, text, values)


def register_fact(at: datetime, text: str, **values: Scalar) -> Evidence:
    """Return what the register allows, as it stood at `at`."""
    return Evidence(REGISTER_BOOK, at, text, values)


def agent_fact(at: datetime, text: str, **values: Scalar) -> Evidence:
    """Return what the site's agent itself saw."""
    return Evidence(AGENT_BOOK, at, text, values)


def center_fact(at: datetime, text: str, **values: Scalar) -> Evidence:
    """Return what the center itself saw."""
    return Evidence(CENTER_BOOK, at, text, values)


def clip(text: str) -> str:
    """Return a machine's words fit for a title: on one line, at most 80 characters."""
    line = "".join(sign if sign.isprintable() else "·" for sign in text)
    return line if len(line) <= MAX_OUTSIDE_TEXT else line[: MAX_OUTSIDE_TEXT - 1] + "…"


def clock(at: datetime) -> str:
    """Return a moment as a title says it, e.g. "06:03:15 UTC on 21 Nov": it does not age."""
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M:%S} UTC on {utc.day} {utc:%b}"


def agent_subject(view: SiteView) -> Subject:
    return Subject(SubjectKind.AGENT, view.agent.agent)


def active_pool(status: MachineStatus) -> PoolStatus | None:
    """Return the pool that work comes from now, None where the machine does not say."""
    for pool in status.pools:
        if pool.state is PoolState.ACTIVE:
            return pool
    return None
