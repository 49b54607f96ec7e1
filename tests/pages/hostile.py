"""A mine in which every text that a machine or a register can choose tries to be a script."""

from __future__ import annotations

from datetime import datetime

import msgspec

from redoubt.edge.batches import MachineDetail
from redoubt.model.finding import Evidence, FindingEvent
from redoubt.model.ids import MachineId
from redoubt.model.status import MachineFault, Note
from tests.pages.mine import Mine, details_at, findings_of, north, plan_mine

SCRIPT = "<script>window.harmed=1</script>"
IMAGE = '"><img src=x onerror=window.harmed=1>'
TEMPLATE = "{{ 7 * 7 }}${7*7}"
TEXT = SCRIPT + IMAGE + TEMPLATE


def plan() -> Mine:
    """Names that a register may hold, since only ids are restricted, and ids that batches may."""
    site = msgspec.structs.replace(north(), name=TEXT, country=TEXT)
    mine = plan_mine(site, 40, trouble=0.5)
    first = msgspec.structs.replace(mine.machines[0], model=TEXT, make=TEXT, worker=TEXT)
    named = msgspec.structs.replace(mine.machines[1], id=MachineId(SCRIPT))
    return msgspec.structs.replace(
        mine,
        racks=tuple(msgspec.structs.replace(rack, name=TEXT) for rack in mine.racks),
        buildings=tuple(msgspec.structs.replace(hall, name=TEXT) for hall in mine.buildings),
        machines=(first, named, *mine.machines[2:]),
        troubles={**mine.troubles, first.id: "", named.id: "hot"},
    )


def details(mine: Mine, at: datetime) -> list[MachineDetail]:
    """Details whose every free text is hostile."""
    return [
        msgspec.structs.replace(
            detail,
            status=msgspec.structs.replace(
                detail.status,
                model=TEXT,
                firmware=TEXT,
                serial=TEXT,
                hostname=TEXT,
                errors=(MachineFault(SCRIPT, TEXT, at),),
                notes=(Note("odd", TEXT, IMAGE),),
                pools=tuple(
                    msgspec.structs.replace(pool, url="javascript:window.harmed=1", user=TEXT)
                    for pool in detail.status.pools
                ),
            ),
            replies={TEXT: f"</pre>{TEXT}"},
        )
        for detail in details_at(mine, at)
    ]


def findings(mine: Mine, now: datetime) -> list[FindingEvent]:
    return [
        msgspec.structs.replace(
            event,
            finding=msgspec.structs.replace(
                event.finding,
                title=TEXT,
                evidence=(Evidence(TEXT, now, TEXT, {TEXT: TEXT}),),
            ),
        )
        for event in findings_of(mine, now)
    ]
