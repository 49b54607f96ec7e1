"""What all parts of a running center share, made once in `open_center` and handed to each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redoubt.center.certificate_office import CertificateOffice
from redoubt.center.folder import CenterFolder, center_name
from redoubt.center.latest import LatestState
from redoubt.center.mover import MoverFigures
from redoubt.center.register_feed import RegisterFeed
from redoubt.center.settings import Settings
from redoubt.center.sign_in_limit import SignIns
from redoubt.edge.inbox import Inbox
from redoubt.edge.keys import Authority
from redoubt.edge.records import Records
from redoubt.edge.telemetry import Telemetry

if TYPE_CHECKING:
    # It needs a Center itself, for its handlers.
    from redoubt.center.live import Live

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Center:
    """A center's parts. `name` tells this center from others on the same host (in cookies);
    `agent_url` is how sites reach the agents' port, "" until that is open.

    `records` blocks: a coroutine calls it by `asyncio.to_thread`. `latest` lives in memory and
    answers at once. `telemetry` and `inbox` have coroutines of their own.
    """

    def __init__(
        self,
        *,
        folder: CenterFolder,
        settings: Settings,
        records: Records,
        telemetry: Telemetry,
        inbox: Inbox,
        latest: LatestState,
        live: Live,
        authority: Authority,
        signing_key: Ed25519PrivateKey,
        clock: Clock = utc_now,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.name = center_name(signing_key)
        self.records = records
        self.telemetry = telemetry
        self.inbox = inbox
        self.latest = latest
        self.live = live
        self.registers = RegisterFeed(records, signing_key, clock)
        self.authority = authority
        self.signing_key = signing_key
        self.certificates = CertificateOffice(authority, records)
        self.agent_url = ""
        self.sign_ins = SignIns()
        self.mover_figures = MoverFigures()
        self.clock = clock
