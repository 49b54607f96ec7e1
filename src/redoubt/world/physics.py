"""What happens to a machine: heat, air, fans, throttling, protection, shares. Pure.

A step takes a state, the facts of the model, the faults it has, the air it breathes, how long the
step lasts and a source of chance; it returns the next state. Nothing here knows the wall clock.

The thermal model is one first-order node per board: a board's chips move towards

    inlet + RISE_C * (power / nominal power) * (NOMINAL_AIR / (LEAK + air)) ** 0.9

with a time constant of TAU_S. `air` is the share of the full air flow that the fans move. It is no
simulation of a product; it is meant to have the right signs, sizes and delays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from random import Random

import msgspec

from redoubt.world.models import Model

_replace = msgspec.structs.replace

RISE_C = 42.0
NOMINAL_AIR = 0.90
LEAK = 0.15
TAU_S = 45.0
MIN_DUTY = 0.30
DEAD_FAN_PENALTY = 0.6
"""A dead fan is also a hole that blown air comes back through, in parts of a fan."""
SHARE_SECONDS = 6.0
"""Pools set the difficulty so that a healthy machine finds a share about this often."""
RACK_RISE_C = 5.0
RACK_TAU_S = 120.0


class Thermals(msgspec.Struct, frozen=True):
    """At what chip temperatures a family's firmware acts: what its fans aim at, where it slows
    down, where it stops to protect itself, and where it starts again."""

    set_point_c: float
    throttle_c: float
    protect_c: float
    restart_c: float


THERMALS = {
    "antminer": Thermals(66.0, 86.0, 97.0, 55.0),
    "whatsminer_v3": Thermals(69.0, 86.0, 98.0, 55.0),
    "axeos": Thermals(60.0, 72.0, 75.0, 45.0),
}


class Mode(Enum):
    OFF = "off"
    BOOTING = "booting"
    HASHING = "hashing"
    PROTECTED = "protected"
    """Stopped by itself because it was too hot; starts again once it has cooled."""


class Faults(msgspec.Struct, frozen=True):
    """What is broken. `tune` is the share of the nominal clock at which the machine runs."""

    dead_fans: frozenset[int] = frozenset()
    lost_boards: frozenset[int] = frozenset()
    lost_chips: tuple[tuple[int, int], ...] = ()
    """(board, chips that do not answer)"""
    tune: float = 1.0
    powered: bool = True


NO_FAULTS = Faults()


class BoardState(msgspec.Struct, frozen=True):
    """One board: chips that answer, its hashrate now, its chips' and its own temperature."""

    chips: int
    hashrate_hs: float
    temp_chip_c: float
    temp_board_c: float


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """A machine at one moment, as it truly is, with the averages that its firmware keeps.

    hashrate_hs and power_w are the truth. hashrate_5s_hs is what a firmware estimates from the
    nonces of five seconds, so it is noisy; the slower averages follow it. Counts are since boot.
    """

    mode: Mode
    mode_left_s: float
    uptime_s: float
    duty: float
    rpm: tuple[int, ...]
    throttle: float
    boards: tuple[BoardState, ...]
    power_w: float
    hashrate_hs: float
    hashrate_5s_hs: float
    hashrate_30m_hs: float
    hashrate_avg_hs: float
    shares_due: float
    accepted: int
    rejected: int
    stale: int
    hardware_errors: int
    boots: int = 0

    @property
    def temp_chip_max_c(self) -> float:
        return max(board.temp_chip_c for board in self.boards)


class Facts(msgspec.Struct, frozen=True):
    """What one specimen can do.

    board_luck: each board's luck with silicon, about 1.0. rise: how much hotter than usual its
    chips get for the same watts. thermals: its family's, with a set point of its own.
    """

    model: Model
    board_luck: tuple[float, ...]
    rise: float
    thermals: Thermals
    boot_s: float
    fan_bias: tuple[float, ...]

    @property
    def share_difficulty(self) -> int:
        """The power of two at which this machine finds a share about every SHARE_SECONDS."""
        return share_difficulty(self.model.hashrate_hs)


def share_difficulty(hashrate_hs: float) -> int:
    exact = hashrate_hs * SHARE_SECONDS / 2**32
    return 1 << max(0, round(math.log2(max(exact, 1.0))))


def make_facts(model: Model, rng: Random) -> Facts:
    """Return the facts of one specimen of a model."""
    luck = rng.gauss(1.0, 0.01)
    usual = THERMALS[model.family]
    off_c = min(6.0, max(-6.0, rng.gauss(0.0, 2.5)))
    return Facts(
        model=model,
        board_luck=tuple(
            min(1.05, max(0.94, luck + rng.gauss(0.0, 0.008))) for _ in range(model.boards)
        ),
        rise=min(1.2, max(0.85, rng.gauss(1.0, 0.06))),
        thermals=_replace(usual, set_point_c=usual.set_point_c + off_c),
        boot_s=rng.uniform(8, 15) if model.family == "axeos" else rng.uniform(70, 130),
        fan_bias=tuple(rng.uniform(0.985, 1.015) for _ in range(model.fans)),
    )


def cold_state(facts: Facts, inlet_c: float) -> MachineState:
    """Return a machine without power, as cold as the air around it."""
    model = facts.model
    board = BoardState(model.chips_per_board, 0.0, inlet_c, inlet_c)
    return MachineState(
        mode=Mode.OFF,
        mode_left_s=0.0,
        uptime_s=0.0,
        duty=0.0,
        rpm=(0,) * model.fans,
        throttle=1.0,
        boards=(board,) * model.boards,
        power_w=0.0,
        hashrate_hs=0.0,
        hashrate_5s_hs=0.0,
        hashrate_30m_hs=0.0,
        hashrate_avg_hs=0.0,
        shares_due=0.0,
        accepted=0,
        rejected=0,
        stale=0,
        hardware_errors=0,
    )


def settled_state(facts: Facts, inlet_c: float, uptime_s: float, rng: Random) -> MachineState:
    """Return a machine that has hashed without trouble for `uptime_s`, at its steady heat."""
    state = _replace(cold_state(facts, inlet_c), mode=Mode.HASHING, duty=0.7)
    for _ in range(10):
        state = step_machine(state, facts, NO_FAULTS, inlet_c, 20.0, rng)
    rate = state.hashrate_hs
    shares = int(uptime_s * rate / (facts.share_difficulty * 2**32))
    return _replace(
        state,
        uptime_s=uptime_s,
        hashrate_30m_hs=rate,
        hashrate_avg_hs=rate,
        accepted=shares,
        rejected=int(shares * rng.uniform(0.0005, 0.003)),
        stale=int(shares * rng.uniform(0.0, 0.001)),
        hardware_errors=int(uptime_s * rng.uniform(0.0002, 0.004)),
    )


def boot(state: MachineState, facts: Facts) -> MachineState:
    """Return the machine as it is just after power came (back): counters at nought, not hashing."""
    return _replace(
        state,
        mode=Mode.BOOTING,
        mode_left_s=facts.boot_s,
        uptime_s=0.0,
        throttle=1.0,
        hashrate_hs=0.0,
        hashrate_5s_hs=0.0,
        hashrate_30m_hs=0.0,
        hashrate_avg_hs=0.0,
        shares_due=0.0,
        accepted=0,
        rejected=0,
        stale=0,
        hardware_errors=0,
        boots=state.boots + 1,
    )


def step_machine(
    state: MachineState, facts: Facts, faults: Faults, inlet_c: float, dt_s: float, rng: Random
) -> MachineState:
    """Return the machine `dt_s` seconds later, breathing air of `inlet_c`."""
    mode, left_s = _next_mode(state, facts, faults, dt_s)
    hottest = state.temp_chip_max_c
    duty = _next_duty(state.duty, mode, hottest - facts.thermals.set_point_c, dt_s)
    rpm = _fan_speeds(facts, faults, duty, mode, rng)
    throttle = _next_throttle(state.throttle, hottest - facts.thermals.throttle_c, dt_s)
    air = _air_share(rpm, facts.model.rpm_max, len(faults.dead_fans))
    boards, board_power_w = _step_boards(state, facts, faults, mode, throttle, air, inlet_c, dt_s)
    true_hs = sum(board.hashrate_hs for board in boards)
    if mode is Mode.OFF:
        return _replace(
            state, mode=mode, mode_left_s=0.0, uptime_s=0.0, duty=0.0, rpm=rpm, boards=boards,
            power_w=0.0, hashrate_hs=0.0, hashrate_5s_hs=0.0,
        )  # fmt: skip
    uptime_s = state.uptime_s + dt_s
    claimed_hs = true_hs * (1 + rng.gauss(0.0, 0.012))
    due, found = _find_shares(state.shares_due, true_hs, facts.share_difficulty, dt_s, rng)
    rejected = sum(rng.random() < 0.0015 for _ in range(min(found, 50)))
    return MachineState(
        mode=mode,
        mode_left_s=left_s,
        uptime_s=uptime_s,
        duty=duty,
        rpm=rpm,
        throttle=throttle,
        boards=boards,
        power_w=_wall_power(facts, mode, board_power_w, rpm),
        hashrate_hs=true_hs,
        hashrate_5s_hs=claimed_hs,
        hashrate_30m_hs=_follow(state.hashrate_30m_hs, true_hs, dt_s, min(1800.0, uptime_s)),
        hashrate_avg_hs=_follow(state.hashrate_avg_hs, true_hs, dt_s, uptime_s),
        shares_due=due,
        accepted=state.accepted + found - rejected,
        rejected=state.rejected + rejected,
        stale=state.stale + (1 if rng.random() < dt_s * 0.0001 else 0),
        hardware_errors=state.hardware_errors + (1 if rng.random() < dt_s * 0.002 else 0),
        boots=state.boots,
    )


def step_rack(
    inlet_c: float, ambient_c: float, heat_share: float, airflow: float, dt_s: float
) -> float:
    """Return a rack's inlet temperature `dt_s` later.

    heat_share: heat given off now as a share of what the full rack gives at its nominal power.
    airflow: the share of the air that the building should move past this rack.
    """
    target_c = ambient_c + RACK_RISE_C * heat_share / max(airflow, 0.1)
    return _follow(inlet_c, target_c, dt_s, RACK_TAU_S)


def ambient_at(seconds: float, base_c: float) -> float:
    """Return the outdoor air at a second of the day: coldest at about 4, warmest at about 16."""
    return base_c + 4.0 * math.sin(2 * math.pi * (seconds / 86400.0 - 10 / 24))


def _next_mode(
    state: MachineState, facts: Facts, faults: Faults, dt_s: float
) -> tuple[Mode, float]:
    if not faults.powered:
        return Mode.OFF, 0.0
    hottest = state.temp_chip_max_c
    match state.mode:
        case Mode.OFF:
            return Mode.BOOTING, facts.boot_s
        case Mode.BOOTING:
            left_s = state.mode_left_s - dt_s
            return (Mode.BOOTING, left_s) if left_s > 0 else (Mode.HASHING, 0.0)
        case Mode.HASHING:
            too_hot = hottest > facts.thermals.protect_c
            return (Mode.PROTECTED if too_hot else Mode.HASHING), 0.0
        case Mode.PROTECTED:
            cool = hottest < facts.thermals.restart_c
            return (Mode.BOOTING, facts.boot_s) if cool else (Mode.PROTECTED, 0.0)


def _next_duty(duty: float, mode: Mode, excess_c: float, dt_s: float) -> float:
    if mode is Mode.OFF:
        return 0.0
    wanted = 1.0 if mode is Mode.PROTECTED else 0.70 + 0.025 * excess_c
    wanted = min(1.0, max(MIN_DUTY, wanted))
    step = 0.02 * dt_s
    return min(duty + step, max(duty - step, wanted))


def _fan_speeds(
    facts: Facts, faults: Faults, duty: float, mode: Mode, rng: Random
) -> tuple[int, ...]:
    """Fans count two pulses per turn over a second, so speeds come in multiples of 60 (or 30)."""
    if mode is Mode.OFF:
        return (0,) * facts.model.fans
    full = duty * facts.model.rpm_max
    return tuple(
        0 if fan in faults.dead_fans else round(full * bias * (1 + rng.gauss(0, 0.004)) / 60) * 60
        for fan, bias in enumerate(facts.fan_bias)
    )


def _next_throttle(throttle: float, excess_c: float, dt_s: float) -> float:
    wanted = min(1.0, max(0.5, 1.0 - 0.03 * excess_c))
    return _follow(throttle, wanted, dt_s, 20.0)


def _air_share(rpm: Sequence[int], rpm_max: int, dead: int) -> float:
    return max(0.02, (sum(rpm) / rpm_max - DEAD_FAN_PENALTY * dead) / len(rpm))


def _step_boards(
    state: MachineState,
    facts: Facts,
    faults: Faults,
    mode: Mode,
    throttle: float,
    air: float,
    inlet_c: float,
    dt_s: float,
) -> tuple[tuple[BoardState, ...], float]:
    """Return the boards a step later, and the power that they draw together."""
    model = facts.model
    lost = dict(faults.lost_chips)
    rise_c = RISE_C * facts.rise * (NOMINAL_AIR / (LEAK + air)) ** 0.9
    full_hs = model.hashrate_hs / model.boards
    nominal_w = 0.94 * model.power_w / model.boards
    boards: list[BoardState] = []
    total_w = 0.0
    for index, board in enumerate(state.boards):
        alive = index not in faults.lost_boards
        chips = max(0, model.chips_per_board - lost.get(index, 0)) if alive else 0
        share = chips / model.chips_per_board if mode is Mode.HASHING else 0.0
        load = share * throttle * faults.tune
        leakage = 1 + 0.0015 * (board.temp_chip_c - facts.thermals.set_point_c)
        power_w = nominal_w * load * leakage
        bias_c = (index - (model.boards - 1) / 2) * 1.5
        target_c = inlet_c + (rise_c * power_w / nominal_w) + (bias_c if load else 0.0)
        chip_c = _follow(board.temp_chip_c, target_c, dt_s, TAU_S)
        rate_hs = full_hs * load * facts.board_luck[index]
        board_c = inlet_c + 0.72 * (chip_c - inlet_c)
        boards.append(BoardState(chips, rate_hs, chip_c, board_c))
        total_w += power_w
    return tuple(boards), total_w


def _wall_power(facts: Facts, mode: Mode, board_w: float, rpm: Sequence[int]) -> float:
    """Boards, control board and fans (whose power grows with the cube of their speed)."""
    model = facts.model
    spin = sum((speed / model.rpm_max) ** 3 for speed in rpm) / len(rpm)
    idle = 0.01 * model.power_w
    return board_w + idle + 0.07 * model.power_w * spin if mode is not Mode.OFF else 0.0


def _find_shares(
    due: float, rate_hs: float, difficulty: int, dt_s: float, rng: Random
) -> tuple[float, int]:
    """Return what is left of the next share, and how many were found: times between are random."""
    due -= rate_hs * dt_s / (difficulty * 2**32)
    found = 0
    while due <= 0 and rate_hs > 0:
        found += 1
        due += rng.expovariate(1.0)
    return due, found


def _follow(value: float, target: float, dt_s: float, tau_s: float) -> float:
    """Move `value` towards `target` as a first-order lag does."""
    if tau_s <= dt_s:
        return target if tau_s <= 0 else value + (target - value) * (1 - math.exp(-dt_s / tau_s))
    return value + (target - value) * (1 - math.exp(-dt_s / tau_s))
