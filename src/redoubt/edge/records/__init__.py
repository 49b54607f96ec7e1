"""The records: what must never be lost or mixed up: people, secrets, the register, findings.

`Records` is the door; behind it one small file per noun. All calls block for about a millisecond
and are safe from any thread: a coroutine uses `asyncio.to_thread`. Every table has `organisation`,
and every statement passes `scoped(organisation)` (see `engine`).
"""

from __future__ import annotations

from redoubt.edge.records.agents import Agents
from redoubt.edge.records.audit import Audit
from redoubt.edge.records.details import Details
from redoubt.edge.records.engine import open_engine
from redoubt.edge.records.findings import Findings
from redoubt.edge.records.migrate import upgrade
from redoubt.edge.records.people import People
from redoubt.edge.records.register import Registers
from redoubt.edge.records.sessions import Sessions
from redoubt.edge.records.tokens import Tokens

__all__ = ["Records", "open_records"]


class Records:
    """One database. `url` is SQLAlchemy's: "sqlite:////path" or "postgresql+psycopg://…"."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self.people = People(self._engine)
        self.sessions = Sessions(self._engine)
        self.tokens = Tokens(self._engine)
        self.agents = Agents(self._engine)
        self.register = Registers(self._engine)
        self.findings = Findings(self._engine)
        self.details = Details(self._engine)
        self.audit = Audit(self._engine)

    def close(self) -> None:
        self._engine.dispose()


def open_records(url: str) -> Records:
    """Return the records at `url`, brought up to date first.

    Raises InputError where they are of a newer Redoubt, ServiceError where they cannot be opened.
    """
    upgrade(url)
    return Records(url)
