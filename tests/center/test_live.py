"""Live streams end with the session that opened them, and there are never too many."""

from __future__ import annotations

import asyncio

import pytest

from redoubt.access.secret import Purpose, hash_secret
from redoubt.center import live
from redoubt.center.context import Center
from redoubt.model.register import Role
from tests.center.conftest import ACME, Connect, add_session, add_user

TICK = "event: tick"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.1)


async def test_a_stream_ends_with_its_session_and_goes_on_until_then(
    center: Center, connect: Connect
) -> None:
    session = add_session(center, add_user(center, "vera", Role.VIEWER))
    others = add_session(center, add_user(center, "omar"))
    async with asyncio.TaskGroup() as tasks:
        stream = tasks.create_task(connect(session=session).get("/live/ticks"))
        other = tasks.create_task(connect(session=others).get("/live/ticks"))
        await asyncio.sleep(1.5)
        assert not stream.done()
        center.records.sessions.end(ACME, hash_secret(Purpose.SESSION, session))
        async with asyncio.timeout(5):
            answer = await stream
        assert answer.status_code == 200
        assert TICK in answer.text
        assert not other.done()
        center.live.close()


async def test_of_many_streams_at_once_only_so_many_are_open(
    center: Center, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAM_LIFE_S", 1.5)
    client = connect(session=add_session(center, add_user(center, "vera", Role.VIEWER)))
    answers = await asyncio.gather(
        *(client.get("/live/ticks") for _ in range(3 * live.MAX_STREAMS_EACH))
    )
    assert sum(TICK in answer.text for answer in answers) == live.MAX_STREAMS_EACH
    # All have ended, and left their places.
    assert TICK in (await client.get("/live/ticks")).text
