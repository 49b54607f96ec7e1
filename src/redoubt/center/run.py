"""Run a center: one process, one event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redoubt.center.app import build_app
from redoubt.center.certificates import web_certificate
from redoubt.center.folder import CenterFolder, only_one
from redoubt.center.open import open_center
from redoubt.center.serve import WebPort
from redoubt.center.settings import Settings
from redoubt.edge.tasks import run_until, stop_on_signals


async def run_center(
    folder: CenterFolder,
    settings: Settings,
    on_ready: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or `stop`; `on_ready` gets the URL once pages are served.

    Raises InputError where a port is taken or a center runs in the folder already.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    with only_one(folder):
        certificate, key = web_certificate(folder, settings)
        web = WebPort(settings.web(), certificate, key)
        async with open_center(folder, settings, agent_url="") as center:
            app = build_app(center)

            async def announce() -> None:
                await web.wait_ready()
                on_ready(web.listen.url)

            await run_until(stop, lambda: web.serve(app), center.registers.watch, announce)
