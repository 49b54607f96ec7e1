"""What programs that run for months need around their tasks: an end, a pause, a word said once."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from redoubt.model.errors import RedoubtError

Flow = Callable[[], Awaitable[None]]


async def run_until(stop: asyncio.Event, *flows: Flow) -> None:
    """Run flows side by side until `stop` is set, then cancel them and wait for their end.

    The first flow that raises ends the others; a RedoubtError among what they raised goes on alone,
    as the sentence that it is.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run(flow)) for flow in flows]
            await stop.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as raised:
        told = raised.subgroup(RedoubtError)
        if told is not None:
            raise _first(told) from raised
        raise


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM and SIGINT. Call it in the loop's own thread, which is the main one."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Return whether the event was set in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    return event.is_set()


class Backoff:
    """Pauses that double up to a bound, shortened by chance so that sites do not come at once."""

    def __init__(self, first_s: float, most_s: float, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rng = rng or random.Random()
        self._next_s = first_s

    def next_s(self) -> float:
        """Return the next pause in seconds."""
        pause_s = self._next_s * self._rng.uniform(0.5, 1.0)
        self._next_s = min(self._most_s, 2 * self._next_s)
        return pause_s

    def reset(self) -> None:
        self._next_s = self._first_s


class SayOnce:
    """Says when something goes away and when it returns, and is silent in between."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._is_away = False

    def gone(self, why: object) -> None:
        if not self._is_away:
            self._is_away = True
            self._log.warning("%s: %s", self._what, why)

    def back(self) -> None:
        if self._is_away:
            self._is_away = False
            self._log.info("%s: works again", self._what)


async def _run(flow: Flow) -> None:
    await flow()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
