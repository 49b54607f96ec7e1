"""What a store and its inbox hold, as one line of JSON, for a process that must not open them.

python -m tests.faults.teller INBOX TELEMETRY     first carries on what waits in the inbox
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

from redoubt.center.latest import LatestState
from redoubt.center.mover import Mover, Shelves
from redoubt.edge.batches import MachineDetail
from redoubt.edge.inbox import Inbox
from redoubt.edge.telemetry import Telemetry
from redoubt.model.finding import FindingEvent
from redoubt.model.ids import OrganisationId, SiteId

_COUNTS = {
    "rows": "SELECT count(*) AS n FROM samples",
    "distinct_rows": "SELECT uniqExact(machine, at) AS n FROM samples",
    "hashrate": "SELECT sum(toFloat64(hashrate_hs)) AS n FROM samples",
    "minute_samples": "SELECT sum(samples) AS n FROM machine_minute",
    "minute_hashing": "SELECT sum(hashing) AS n FROM machine_minute",
    "minute_hashrate": "SELECT sum(hashrate_sum) AS n FROM machine_minute",
    "rack_samples": "SELECT sum(samples) AS n FROM rack_minute FINAL",
    "rack_hashrate": "SELECT sum(hashrate_hs) AS n FROM rack_minute FINAL",
    "site_samples": "SELECT sum(samples) AS n FROM site_minute FINAL",
    "site_hashrate": "SELECT sum(hashrate_hs) AS n FROM site_minute FINAL",
    "site_machines": "SELECT max(machines) AS n FROM site_minute FINAL",
}


async def tell(inbox: Inbox, telemetry: Telemetry) -> str:
    """Return what is in the store and the inbox."""
    told: dict[str, object] = {}
    for name, sql in _COUNTS.items():
        told[name] = (await telemetry.query(sql)).column("n")[0].as_py()
    told["conflicts"] = [(c.agent, c.epoch, c.seq) for c in await inbox.conflicts()]
    told["asides"] = [aside.why for aside in await inbox.asides()]
    return f"told {json.dumps(told)}"


def numbers_in(inbox: Path) -> set[tuple[str, int]]:
    """Return the (epoch, seq) of every batch that an inbox has taken."""
    with closing(connect(inbox)) as file:
        keys = "SELECT epoch, seq FROM seen JOIN sources ON sources.id = seen.source"
        return set(file.execute(keys))


async def _main(inbox_path: Path, telemetry_path: Path) -> None:
    inbox = await Inbox.open(inbox_path)
    telemetry = await Telemetry.open(telemetry_path)
    shelves = Shelves(keep_details=_keep, apply_findings=_apply)
    mover = Mover(inbox, telemetry, LatestState(), shelves, lambda: datetime.now(UTC))
    await mover.drain()
    sys.stdout.write(await tell(inbox, telemetry) + "\n")
    await telemetry.close()
    await inbox.close()


def _keep(_organisation: OrganisationId, _site: SiteId, _details: Sequence[MachineDetail]) -> None:
    return


def _apply(_organisation: OrganisationId, _site: SiteId, _events: Sequence[FindingEvent]) -> None:
    return


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2])))
