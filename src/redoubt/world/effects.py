"""What an incident does to a world, and how it is undone when it has lasted long enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

import msgspec

from redoubt.world.incidents import Incident, Kind
from redoubt.world.live import LiveMachine
from redoubt.world.physics import NO_FAULTS, Faults
from redoubt.world.racks import RackAir

STRANGER_URL = "stratum+tcp://stranger.virtual.invalid:3333"
STRANGER_USER = "virtual-thief.1"

Undo = Callable[[], None]
_replace = msgspec.structs.replace


class Stage(Protocol):
    """What incidents act upon: the parts of a world that they may change."""

    warmth_c: float

    @property
    def racks(self) -> Sequence[RackAir]: ...
    @property
    def machines_on(self) -> Sequence[LiveMachine]: ...
    def switch_on_stranger(self) -> LiveMachine | None: ...
    def free_address(self) -> str | None: ...


def strike(
    stage: Stage, incident: Incident, spared: set[str], rng: Random
) -> tuple[tuple[str, ...], Undo]:
    """Let an incident happen; return the ids (machines, a rack, or "site") it struck, and its undo.

    spared: machines that other incidents struck already; it grows by those struck now.
    """
    match incident.kind:
        case Kind.HEAT_WAVE:
            return _heat_wave(stage, incident)
        case Kind.HOT_RACK | Kind.POWER_TRIPPED:
            return _strike_rack(stage, incident, spared, rng)
        case Kind.STRANGER_APPEARS:
            return _strangers(stage, incident)
        case _:
            victims = _choose(stage, incident, spared, rng)
            undos = [_strike_machine(stage, live, incident) for live in victims]
            return tuple(live.machine.id for live in victims), lambda: _run_all(undos)


def _heat_wave(stage: Stage, incident: Incident) -> tuple[tuple[str, ...], Undo]:
    stage.warmth_c += incident.celsius

    def undo() -> None:
        stage.warmth_c -= incident.celsius

    return ("site",), undo


def _strike_rack(
    stage: Stage, incident: Incident, spared: set[str], rng: Random
) -> tuple[tuple[str, ...], Undo]:
    named = [rack for rack in stage.racks if rack.name == incident.rack]
    untouched = [
        rack
        for rack in stage.racks
        if rack.gives_heat and not any(live.machine.id in spared for live in rack.members)
    ]
    rack = named[0] if named else rng.choice(untouched or list(stage.racks))
    spared.update(live.machine.id for live in rack.members)
    if incident.kind is Kind.HOT_RACK:
        rack.airflow = rack.usual_airflow * incident.airflow

        def open_again() -> None:
            rack.airflow = rack.usual_airflow

        return (rack.name,), open_again
    undos = [_change_faults(live, lambda faults: _replace(faults, powered=False), _powered)
             for live in rack.members]  # fmt: skip
    return (rack.name,), lambda: _run_all(undos)


def _strangers(stage: Stage, incident: Incident) -> tuple[tuple[str, ...], Undo]:
    arrived = [stage.switch_on_stranger() for _ in range(incident.count)]
    present = [live for live in arrived if live is not None]
    undos = [
        _change_faults(live, _powered, lambda faults: _replace(faults, powered=False))
        for live in present
    ]
    return tuple(live.machine.id for live in present), lambda: _run_all(undos)


def _choose(
    stage: Stage, incident: Incident, spared: set[str], rng: Random
) -> Sequence[LiveMachine]:
    """Return whom an incident strikes: the machine it names, else untouched ones by chance."""
    if incident.machine is not None:
        return [live for live in stage.machines_on if live.machine.id == incident.machine]
    fitting = [
        live
        for live in stage.machines_on
        if live.machine.id not in spared
        and live.machine.registered
        and incident.family in (None, live.machine.family)
        and incident.rack in (None, live.machine.rack)
        and _can_suffer(live, incident)
    ]
    victims = rng.sample(fitting, min(incident.count, len(fitting)))
    spared.update(live.machine.id for live in victims)
    return victims


def _can_suffer(live: LiveMachine, incident: Incident) -> bool:
    model = live.machine.model
    match incident.kind:
        case Kind.FAN_FAILURE:
            return incident.fan < model.fans
        case Kind.BOARD_LOST:
            return incident.board < model.boards
        case Kind.CHIPS_LOST:
            return incident.board < model.boards and incident.chips < model.chips_per_board
        case _:
            return True


def _strike_machine(stage: Stage, live: LiveMachine, incident: Incident) -> Undo:
    match incident.kind:
        case Kind.FAN_FAILURE:
            fan = frozenset({incident.fan})
            return _change_faults(
                live,
                lambda faults: _replace(faults, dead_fans=faults.dead_fans | fan),
                lambda faults: _replace(faults, dead_fans=faults.dead_fans - fan),
            )
        case Kind.BOARD_LOST:
            board = frozenset({incident.board})
            return _change_faults(
                live,
                lambda faults: _replace(faults, lost_boards=faults.lost_boards | board),
                lambda faults: _replace(faults, lost_boards=faults.lost_boards - board),
            )
        case Kind.CHIPS_LOST:
            lost = ((incident.board, incident.chips),)
            return _change_faults(
                live,
                lambda faults: _replace(faults, lost_chips=lost),
                lambda faults: _replace(faults, lost_chips=()),
            )
        case Kind.PSU_FAILURE:
            return _change_faults(live, lambda faults: _replace(faults, powered=False), _powered)
        case Kind.UNDER_HASHING:
            tune = incident.factor or 0.7
            return _change_faults(
                live,
                lambda faults: _replace(faults, tune=tune),
                lambda faults: _replace(faults, tune=NO_FAULTS.tune),
            )
        case Kind.ADDRESS_CHANGED:
            return _move(stage, live)
        case _:
            return _change_behaviour(live, incident)


def _change_behaviour(live: LiveMachine, incident: Incident) -> Undo:
    """What a machine says or does, rather than what is broken in it."""
    before = (live.claim, live.how, live.pool_url, live.pool_user)
    match incident.kind:
        case Kind.LYING_FIRMWARE:
            live.claim = incident.factor or 1.1
        case Kind.MISBEHAVES:
            live.how = incident.how
        case Kind.HIJACKED:
            live.pool_url, live.pool_user = STRANGER_URL, STRANGER_USER
        case Kind.REBOOTED:
            live.reboot()
        case _:
            raise AssertionError(f"{incident.kind} strikes no machine")
    live.forget()

    def undo() -> None:
        live.claim, live.how, live.pool_url, live.pool_user = before
        live.forget()

    return undo


def _move(stage: Stage, live: LiveMachine) -> Undo:
    before = live.address
    live.address = stage.free_address() or before
    live.forget()

    def undo() -> None:
        live.address = before
        live.forget()

    return undo


def _change_faults(
    live: LiveMachine,
    change: Callable[[Faults], Faults],
    mend: Callable[[Faults], Faults],
) -> Undo:
    live.faults = change(live.faults)

    def undo() -> None:
        live.faults = mend(live.faults)

    return undo


def _powered(faults: Faults) -> Faults:
    return _replace(faults, powered=True)


def _run_all(undos: Sequence[Undo]) -> None:
    for undo in undos:
        undo()
