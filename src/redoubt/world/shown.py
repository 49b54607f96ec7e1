"""What a machine shows of itself: the truth as its firmware would tell it, or lie about it.

`Shown` is a plain value; the families turn it into bytes. Here, and nowhere else, the claim parts
from the truth: noise of the firmware's own estimate, a firmware that adds what it does not hash,
and the misbehaviours that change what is said rather than how it travels.
"""

from __future__ import annotations

import msgspec

from redoubt.world.fleet import BACKUP_POOL_URL, VirtualMachine
from redoubt.world.misbehaviour import Misbehaviour
from redoubt.world.physics import Facts, Faults, MachineState, Mode

EPOCH_S = 300
"""A machine whose clock was never set tells times shortly after 1970."""
SCRIPT = "<script>alert('redoubt')</script>"


class ShownBoard(msgspec.Struct, frozen=True):
    """A board as shown. `dead_chips` counts those of `chips_built` that do not answer."""

    index: int
    serial: str
    chips: int
    chips_built: int
    hashrate_hs: float
    temp_chip_c: float
    temp_board_c: float

    @property
    def answers(self) -> bool:
        return self.chips > 0


class ShownPool(msgspec.Struct, frozen=True):
    url: str
    user: str
    active: bool
    accepted: int
    rejected: int
    stale: int


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as it shows itself at `at` (Unix seconds by its own clock).

    temp_inlet_c is what its own sensor reads; families without such a sensor leave it out.
    """

    machine: VirtualMachine
    address: str
    at: int
    uptime_s: int
    mode: Mode
    boards: tuple[ShownBoard, ...]
    rpm: tuple[int, ...]
    duty: float
    hashrate_5s_hs: float
    hashrate_30m_hs: float
    hashrate_avg_hs: float
    power_w: float
    temp_inlet_c: float
    pools: tuple[ShownPool, ...]
    accepted: int
    rejected: int
    stale: int
    hardware_errors: int
    difficulty: int
    dead_fans: tuple[int, ...]
    hostname: str
    reported_model: str
    mac: str
    serial: str
    nominal_hs: float
    frequency_mhz: float

    @property
    def hashing(self) -> bool:
        return self.mode is Mode.HASHING

    @property
    def hot(self) -> bool:
        return self.mode is Mode.PROTECTED


def show(
    machine: VirtualMachine,
    address: str,
    facts: Facts,
    state: MachineState,
    faults: Faults,
    *,
    inlet_c: float,
    claim: float,
    pool_user: str,
    pool_url: str,
    at: float,
    how: Misbehaviour | None,
) -> Shown:
    """Return what a machine shows. `claim` multiplies the hashrate that it really has."""
    model = machine.model
    noise = state.hashrate_5s_hs / state.hashrate_hs if state.hashrate_hs else 1.0
    boards = tuple(
        ShownBoard(
            index=index,
            serial=machine.board_serials[index] if machine.board_serials else "",
            chips=board.chips,
            chips_built=model.chips_per_board,
            hashrate_hs=board.hashrate_hs * claim * noise,
            temp_chip_c=board.temp_chip_c,
            temp_board_c=board.temp_board_c,
        )
        for index, board in enumerate(state.boards)
    )
    shown = Shown(
        machine=machine,
        address=address,
        at=int(at),
        uptime_s=int(state.uptime_s),
        mode=state.mode,
        boards=boards,
        rpm=state.rpm,
        duty=state.duty,
        hashrate_5s_hs=state.hashrate_5s_hs * claim,
        hashrate_30m_hs=state.hashrate_30m_hs * claim,
        hashrate_avg_hs=state.hashrate_avg_hs * claim,
        power_w=state.power_w,
        temp_inlet_c=inlet_c,
        pools=_pools(state, pool_url, pool_user),
        accepted=state.accepted,
        rejected=state.rejected,
        stale=state.stale,
        hardware_errors=state.hardware_errors,
        difficulty=facts.share_difficulty,
        dead_fans=tuple(sorted(faults.dead_fans)),
        hostname=machine.hostname,
        reported_model=model.reported,
        mac=machine.mac,
        serial=machine.serial or "",
        nominal_hs=model.hashrate_hs,
        frequency_mhz=model.frequency_mhz * state.throttle * faults.tune,
    )
    return _misbehave(shown, how)


def _pools(state: MachineState, url: str, user: str) -> tuple[ShownPool, ...]:
    backup = ShownPool(BACKUP_POOL_URL, user, False, 0, 0, 0)
    first = ShownPool(url, user, True, state.accepted, state.rejected, state.stale)
    return (first, backup)


def _misbehave(shown: Shown, how: Misbehaviour | None) -> Shown:
    replace = msgspec.structs.replace
    match how:
        case Misbehaviour.STALE_CLOCK:
            return replace(shown, at=EPOCH_S)
        case Misbehaviour.IMPOSSIBLE:
            boards = (
                replace(shown.boards[0], chips=round(shown.boards[0].chips_built * 1.66)),
                *(replace(board, hashrate_hs=-board.hashrate_hs) for board in shown.boards[1:]),
            )
            return replace(shown, boards=boards, rpm=(0,) * len(shown.rpm))
        case Misbehaviour.SCRIPT_NAMES:
            pools = tuple(replace(pool, user=SCRIPT) for pool in shown.pools)
            return replace(shown, hostname=SCRIPT, reported_model=f"Antminer {SCRIPT}", pools=pools)
        case Misbehaviour.NO_IDENTITY:
            return replace(shown, mac="00:00:00:00:00:00", serial="")
        case _:
            return shown
