"""A machine that runs: its state and faults now, and its replies, made once per tick at most."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random

from redoubt.world.fleet import VirtualMachine
from redoubt.world.misbehaviour import Misbehaviour
from redoubt.world.physics import (
    NO_FAULTS,
    Facts,
    Faults,
    MachineState,
    Mode,
    boot,
    settled_state,
    step_machine,
)
from redoubt.world.shown import Shown, show

NETWORK_UP_S = 8.0
"""A machine that boots answers on the network this long after power came."""
ESP32_SOCKETS = 4
ESP32_BACKLOG = 5


class LiveMachine:
    """One running machine. `address` is where it is now; `machine.address` where it was installed.

    A reply is made when it is first asked for and kept until the next step, so that a sweep at full
    speed costs the world little more than the writes.
    """

    __slots__ = (
        "_clock",
        "_replies",
        "_rng",
        "_shown",
        "address",
        "claim",
        "connections",
        "facts",
        "faults",
        "how",
        "inlet_c",
        "machine",
        "open_sockets",
        "pool_url",
        "pool_user",
        "state",
        "waiting",
    )

    def __init__(
        self,
        machine: VirtualMachine,
        facts: Facts,
        state: MachineState,
        inlet_c: float,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self.machine = machine
        self.address = machine.address
        self.facts = facts
        self.state = state
        self.faults: Faults = NO_FAULTS
        self.inlet_c = inlet_c
        self.claim = 1.0
        self.how: Misbehaviour | None = None
        self.pool_url = machine.pool.url
        self.pool_user = machine.worker
        self.connections: set[asyncio.Transport] = set()
        self.open_sockets = 0
        self.waiting: deque[Callable[[], None]] = deque()
        self._rng = rng
        self._clock = clock
        self._shown: Shown | None = None
        self._replies: dict[str, bytes] = {}

    def step(self, inlet_c: float, dt_s: float) -> None:
        """Let `dt_s` seconds pass in air of `inlet_c`."""
        self.inlet_c = inlet_c
        self.state = step_machine(self.state, self.facts, self.faults, inlet_c, dt_s, self._rng)
        self.forget()

    def settle(self, inlet_c: float) -> None:
        """Be a machine that has hashed for some hours or weeks already, in air of `inlet_c`."""
        uptime_s = self._rng.uniform(2, 30 * 24) * 3600
        self.state = settled_state(self.facts, inlet_c, uptime_s, self._rng)
        self.forget()

    def forget(self) -> None:
        """Drop the replies made so far, because something about the machine has changed."""
        self._shown = None
        self._replies.clear()

    def reboot(self) -> None:
        self.state = boot(self.state, self.facts)
        self.forget()

    @property
    def answers(self) -> bool:
        """Whether the machine is on the network at all."""
        if self.how is Misbehaviour.REFUSE or self.state.mode is Mode.OFF:
            return False
        return self.state.mode is not Mode.BOOTING or self.state.uptime_s >= NETWORK_UP_S

    def shown(self) -> Shown:
        """Return what the machine shows of itself since its last step."""
        if self._shown is None:
            self._shown = show(
                self.machine,
                self.address,
                self.facts,
                self.state,
                self.faults,
                inlet_c=self.inlet_c,
                claim=self.claim,
                pool_user=self.pool_user,
                pool_url=self.pool_url,
                at=self._clock(),
                how=self.how,
            )
        return self._shown

    def drop_connections(self) -> None:
        for transport in tuple(self.connections):
            transport.abort()

    def now(self) -> float:
        """Return the Unix time by which the machine's web server counts the age of its nonces."""
        return self._clock()

    def reply(self, name: str, make: Callable[[Shown], bytes]) -> bytes:
        """Return the reply of that name, made by `make` if it was not asked for since the step."""
        reply = self._replies.get(name)
        if reply is None:
            reply = self._replies[name] = make(self.shown())
        return reply
