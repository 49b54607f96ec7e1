"""A real center (records, inbox, telemetry store) behind its real application, on a set clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from redoubt.access.principal import ROLE_SCOPES, Scope
from redoubt.access.secret import Purpose, csrf_token, format_api_token, hash_secret
from redoubt.center.app import build_app
from redoubt.center.auth import SESSION_LIFE, session_cookie
from redoubt.center.context import Center
from redoubt.center.folder import CenterFolder, make_center
from redoubt.center.latest import LatestState
from redoubt.center.links import new_secret
from redoubt.center.live import Live
from redoubt.center.settings import Settings
from redoubt.edge.inbox import Inbox
from redoubt.edge.records.people import Person
from redoubt.edge.records.tokens import ApiToken
from redoubt.edge.telemetry import Telemetry
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Organisation, Role

ACME, ZETA = OrganisationId("acme"), OrganisationId("zeta")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BASE_URL = "http://127.0.0.1:8080"
SETTINGS = Settings(web_listen="127.0.0.1:8080", agent_listen="127.0.0.1:0")

Client = httpx.AsyncClient
Connect = Callable[..., Client]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    """One store for the tests of a file: opening one takes its time, and a process can have one."""
    store = asyncio.run(Telemetry.open(tmp_path_factory.mktemp("telemetry")))
    yield store
    asyncio.run(store.close())


@pytest.fixture
async def center(
    tmp_path: Path, clock: Clock, settings: Settings, telemetry: Telemetry
) -> AsyncIterator[Center]:
    """A center with two organisations, nobody in them yet."""
    folder = CenterFolder(tmp_path / "center")
    records = make_center(folder.root, settings, Organisation(ACME, "Acme"), NOW)
    records.people.add_organisation(Organisation(ZETA, "Zeta"), NOW + timedelta(seconds=1))
    inbox, latest = await Inbox.open(folder.inbox), LatestState()
    yield Center(
        folder=folder,
        settings=settings,
        records=records,
        telemetry=telemetry,
        inbox=inbox,
        latest=latest,
        live=Live(latest),
        authority=folder.authority(),
        signing_key=folder.key(),
        clock=clock,
    )
    await inbox.close()
    records.close()


@pytest.fixture
async def connect(center: Center) -> AsyncIterator[Connect]:
    """Makes HTTP clients: `connect()`, with `token=…` or `session=…`, from `peer=…`."""
    application = build_app(center)
    clients: list[Client] = []

    def make(
        *, token: str | None = None, session: str | None = None, peer: str = "127.0.0.1"
    ) -> Client:
        transport = httpx.ASGITransport(app=application, client=(peer, 40_000))  # type: ignore[arg-type]  # httpx and Litestar spell ASGI's types differently
        client = Client(transport=transport, base_url=BASE_URL)
        if token:
            client.headers["Authorization"] = f"Bearer {token}"
        if session:
            client.cookies.set(session_cookie(center), session)
            client.headers["X-CSRF-Token"] = csrf_token(session)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


def add_user(
    center: Center, name: str, role: Role = Role.ADMIN, organisation: OrganisationId = ACME
) -> UserId:
    """Add somebody without a password."""
    person = Person(
        id=UserId(f"u-{name}"),
        organisation=organisation,
        email=f"{name}@example.org",
        name=name.title(),
        role=role,
        created_at=center.clock(),
    )
    center.records.people.add(person)
    return person.id


def add_session(center: Center, user: UserId, organisation: OrganisationId = ACME) -> str:
    """Sign somebody in; return the session's secret."""
    secret, now = new_secret(), center.clock()
    key = hash_secret(Purpose.SESSION, secret)
    center.records.sessions.open(organisation, user, key, now, now + SESSION_LIFE)
    return secret


def add_token(
    center: Center,
    scopes: frozenset[Scope] = ROLE_SCOPES[Role.ADMIN],
    organisation: OrganisationId = ACME,
) -> str:
    """Make an API token; return its text."""
    secret, now = new_secret(), center.clock()
    token = ApiToken(
        id=f"t-{secret[:8]}",
        organisation=organisation,
        name="test",
        scopes=tuple(sorted(scopes)),
        made_by="console",
        created_at=now,
        expires_at=now + timedelta(days=30),
    )
    center.records.tokens.add(token, hash_secret(Purpose.API_TOKEN, secret))
    return format_api_token(secret)
