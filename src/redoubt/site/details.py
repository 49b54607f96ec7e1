"""When a machine's details travel: each minute and at once on a change; raw replies less often."""

from __future__ import annotations

from datetime import datetime, timedelta

from redoubt.edge.batches import MachineDetail
from redoubt.machines import Replies, Reply
from redoubt.model.ids import UNPLACED, MachineId, RackId
from redoubt.model.register import Machine
from redoubt.model.status import MachineState, MachineStatus

STATUS_EVERY = timedelta(seconds=55)
"""A little under a minute, so that a cadence that divides the minute does not miss it."""
REPLIES_EVERY = timedelta(minutes=10)
MAX_REPLY_CHARS = 64 * 1024


class DetailPolicy:
    """Remembers what was last sent of each machine."""

    def __init__(self) -> None:
        self._sent: dict[MachineId, tuple[MachineState, datetime]] = {}
        self._replies_sent: dict[MachineId, datetime] = {}

    def detail(
        self,
        machine: MachineId,
        registered: Machine | None,
        status: MachineStatus,
        replies: Replies,
    ) -> MachineDetail | None:
        """Return what to send of a reading, None where nothing is due."""
        sent = self._sent.get(machine)
        changed = sent is None or sent[0] is not status.state
        if not changed and sent is not None and status.at - sent[1] < STATUS_EVERY:
            return None
        self._sent[machine] = (status.state, status.at)
        rack, slot = place_of(registered)
        return MachineDetail(
            machine=machine,
            rack=rack,
            slot=slot,
            status=status,
            replies=self._due_replies(machine, status.at, replies, changed=changed),
        )

    def forget(self, machine: MachineId) -> None:
        self._sent.pop(machine, None)
        self._replies_sent.pop(machine, None)

    def _due_replies(
        self, machine: MachineId, at: datetime, replies: Replies, *, changed: bool
    ) -> dict[str, str]:
        said = {name: reply for name, reply in replies.items() if isinstance(reply, Reply)}
        last = self._replies_sent.get(machine)
        if not said or not (changed or last is None or at - last >= REPLIES_EVERY):
            return {}
        self._replies_sent[machine] = at
        return {
            name: reply.body[:MAX_REPLY_CHARS].decode("utf-8", "replace")
            for name, reply in said.items()
        }


def place_of(registered: Machine | None) -> tuple[RackId, str]:
    """Return rack and slot of a machine as samples carry them."""
    if registered is None:
        return UNPLACED, ""
    return registered.rack or UNPLACED, str(registered.slot) if registered.slot else ""
