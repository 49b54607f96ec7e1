"""At most so many new connections a second, whoever asks."""

from __future__ import annotations

import asyncio

_MOST_BEHIND_S = 0.25


class Pace:
    """Spaces starts evenly; after a stall a quarter of a second's worth may follow at once."""

    def __init__(self, per_second: float) -> None:
        self._step_s = 1.0 / per_second
        self._next_at = 0.0

    async def turn(self) -> None:
        """Wait for one's turn to start."""
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at, now - _MOST_BEHIND_S) + self._step_s
        if self._next_at > now + self._step_s:
            await asyncio.sleep(self._next_at - self._step_s - now)
