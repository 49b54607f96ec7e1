"""From replies to a MachineStatus: one pass over a driver's fields, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from redoubt.machines._driver import (
    EXTRACTOR_ERRORS,
    Cadence,
    Driver,
    Failure,
    Field,
    Reply,
)
from redoubt.machines._families import find_driver
from redoubt.machines._hardware import fill_from_hardware
from redoubt.machines._plausible import mark_implausible
from redoubt.machines._read import MAX_BOARDS, MAX_TEXT
from redoubt.model.status import Board, MachineState, MachineStatus, Note, PowerKind, Source, Why
from redoubt.model.units import efficiency_j_per_th

Replies = Mapping[str, Reply | Failure]


def parse_status(
    family: str, replies: Replies, now: datetime, *, address: str = ""
) -> MachineStatus:
    """Return what a machine of `family` says in its replies, by call name.

    A call that was not made is left out of `replies`; its fields are then unknown without blame.
    Raises InputError where the family is unknown, and never because of what a machine sent.
    """
    driver = find_driver(family)
    docs, unread = _decode(driver, replies)
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    columns: dict[str, Mapping[int, Any]] = {}
    for field in driver.fields:
        value, source = _extract(field, docs, unread, replies)
        if source is not None:
            sources[field.name] = source
        if value is None:
            continue
        if field.name.startswith("boards."):
            columns[field.name.removeprefix("boards.")] = value
        else:
            values[field.name] = value
    if columns:
        values["boards"] = _join_boards(values.get("boards", ()), columns)
        sources.setdefault("boards", sources[f"boards.{next(iter(columns))}"])
    if "power_w" in values:
        values["power_kind"] = PowerKind.CLAIMED
    values.setdefault("make", driver.make)
    fill_from_hardware(values, sources)
    values["efficiency_j_per_th"] = efficiency_j_per_th(
        values.get("power_w"), values.get("hashrate_hs")
    )
    status = MachineStatus(address=address, at=now, family=driver.family, sources=sources, **values)
    state = _silence(driver, replies) or driver.state(docs, status)
    notes = mark_implausible(status) + driver.check(docs, status) + _failures(driver, replies)
    return msgspec.structs.replace(status, state=state, notes=notes)


def _decode(driver: Driver, replies: Replies) -> tuple[dict[str, Any], dict[str, Why]]:
    """Return the documents, and why each of the other calls gave none."""
    docs: dict[str, Any] = {}
    unread: dict[str, Why] = {}
    for name, reply in replies.items():
        if isinstance(reply, Failure):
            unread[name] = _WHY[reply.reason]
            continue
        try:
            docs[name] = driver.decode(reply.body)
        except ValueError:
            unread[name] = Why.UNPARSED
    return docs, unread


_WHY = {
    "needs_auth": Why.NEEDS_AUTH,
    "no_reply": Why.NO_REPLY,
    "bad_protocol": Why.UNPARSED,
}


def _extract(
    field: Field, docs: Mapping[str, Any], unread: Mapping[str, Why], replies: Replies
) -> tuple[Any, Source | None]:
    blame: Source | None = None
    for call, extractor in field.places:
        if call in docs:
            try:
                value = extractor(docs[call])
            except EXTRACTOR_ERRORS:
                blame = blame or Source(call, None, Why.UNPARSED)
                continue
            if value is not None and value != () and value != {}:
                return value, Source(call, replies[call].at)
        elif call in unread:
            blame = blame or Source(call, None, unread[call])
    return None, blame


def _join_boards(
    boards: tuple[Board, ...], columns: Mapping[str, Mapping[int, Any]]
) -> tuple[Board, ...]:
    found = {board.index: board for board in boards}
    for name, cells in columns.items():
        for index, value in cells.items():
            board = found.get(index) or Board(index)
            found[index] = msgspec.structs.replace(board, **{name: value})
    return tuple(found[index] for index in sorted(found)[:MAX_BOARDS])


def _failures(driver: Driver, replies: Replies) -> tuple[Note, ...]:
    """Return a note on each way in which steady calls failed, with the calls that did."""
    calls: dict[tuple[str, str], list[str]] = {}
    for call in driver.calls:
        reply = replies.get(call.name)
        if call.cadence is Cadence.STEADY and isinstance(reply, Failure):
            calls.setdefault((reply.reason, reply.text[:MAX_TEXT]), []).append(call.name)
    return tuple(
        Note(reason, f"{', '.join(names)}: {text}") for (reason, text), names in calls.items()
    )


def _silence(driver: Driver, replies: Replies) -> MachineState | None:
    """Return the state of a machine that answered no steady call, or None where one came."""
    steady = [
        replies[call.name]
        for call in driver.calls
        if call.cadence is Cadence.STEADY and call.name in replies
    ]
    if not steady or any(isinstance(reply, Reply) for reply in steady):
        return None
    reasons = {reply.reason for reply in steady if isinstance(reply, Failure)}
    if "needs_auth" in reasons:
        return MachineState.NEEDS_AUTH
    return MachineState.UNKNOWN if "bad_protocol" in reasons else MachineState.OFFLINE
