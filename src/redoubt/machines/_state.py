"""What a machine is doing, by the signs that every family gives."""

from __future__ import annotations

from redoubt.model.status import MachineState, MachineStatus


def state_of(status: MachineStatus, *, is_sleeping: bool = False) -> MachineState:
    """Return the state that hashrate and boards show.

    `degraded` is a machine that is up and hashes nothing, or with fewer boards than it has;
    `unknown` one that does not say its hashrate.
    """
    rate = status.hashrate_hs
    if rate is None:
        return MachineState.SLEEPING if is_sleeping else MachineState.UNKNOWN
    if rate <= 0:
        return MachineState.SLEEPING if is_sleeping else MachineState.DEGRADED
    idle = [
        board
        for board in status.boards
        if board.chips == 0 or (board.hashrate_hs is not None and board.hashrate_hs <= 0)
    ]
    return MachineState.DEGRADED if idle else MachineState.HASHING
