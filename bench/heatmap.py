"""The heat map of 5,000 machines in headless Chromium, 1,000 changed cells per push.

Must reach: 60 frames a second, and at most 16 ms per update (p95). Pushes are recorded first, by
the code that serves them; then Chromium runs alone on the machine and plays them, with the page's
own stylesheet, policy and `heatmap.js`. An update is JSON.parse, taking the cells, drawing them.
"""

from __future__ import annotations

import http.server
import json
import random
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from playwright.sync_api import sync_playwright

from redoubt.center.latest import LatestState
from redoubt.center.live import Live, cell_events
from redoubt.center.security import CONTENT_SECURITY_POLICY
from redoubt.model.ids import OrganisationId
from tests.pages.mine import details_at, north, plan_mine, samples_at, samples_table

MACHINES, CHANGES, PUSHES = 5_000, 1_000, 100
ORGANISATION = OrganisationId("bench")
PUSH_EVERY_MS = 100
"""Ten times as often as a center pushes, so that the updates' frames weigh among the others."""
LIMIT_MS = 16.0
WIDTHS = (1440, 390)

_PAGE = """<!doctype html><meta charset="utf-8"><title>bench</title>
<link rel="stylesheet" href="/static/vendor/fonts.css">
<link rel="stylesheet" href="/static/css/base.css">
<link rel="stylesheet" href="/static/css/pictures.css">
<link rel="stylesheet" href="/static/css/parts.css">
<script type="module" src="/play.js"></script>
<main><div class="heat"><canvas class="map"></canvas></div></main>
"""
_PLAY = """
import { HeatMap } from "/static/js/heatmap.js";
const map = await (await fetch("/map.json")).json();
const pushes = await (await fetch("/pushes.json")).json();
const canvas = document.querySelector("canvas");
await document.fonts.ready;
const heat = new HeatMap(canvas, map);
heat.layOut(Math.floor(canvas.parentElement.clientWidth));
const updates = [];
const frames = [];
let drawn = 0;
let last = performance.now();
let next = last + 500;
let at = 0;
function frame(now) {
  frames.push(now - last);
  last = now;
  if (now >= next && at < pushes.length) {
    next += PUSH_EVERY_MS;
    const began = performance.now();
    heat.take(JSON.parse(pushes[at++]));
    drawn += heat.paint();
    updates.push(performance.now() - began);
  }
  if (at < pushes.length) requestAnimationFrame(frame);
  else {
    window.result = { updates, frames: frames.slice(20), drawn, cell: heat.size };
    document.body.id = "played";
  }
}
requestAnimationFrame(frame);
"""


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on PATH: install Debian's chromium")
        return
    with tempfile.TemporaryDirectory() as folder, _serving(_record(Path(folder))) as url:
        for width in WIDTHS:
            _report(width, _play(chromium, url, width))


def _record(folder: Path) -> Path:
    """Write the page, the heat map and the pushes that a center would send for it."""
    mine, now = plan_mine(north(), MACHINES), datetime.now(UTC)
    latest = LatestState()
    live = Live(latest)
    register = mine.register(ORGANISATION)
    site = mine.site.id
    latest.apply_details(ORGANISATION, site, details_at(mine, now))
    latest.apply_samples(ORGANISATION, site, samples_table(samples_at(mine, now)), now)
    whole = live.heat_map(ORGANISATION, register, site, now)
    pushes, dice = [], random.Random(1)
    for number in range(PUSHES):
        at = now + timedelta(seconds=10 * (number + 1))
        version = latest.version
        rows = samples_table(dice.sample(samples_at(mine, at), CHANGES))
        latest.apply_samples(ORGANISATION, site, rows, at)
        cells = live.changes(ORGANISATION, register, site, at, version)
        assert cells is not None
        assert len(cells.i) == CHANGES
        (push,) = cell_events(cells)
        pushes.append(push.partition(b"\ndata: ")[2].decode().strip())
    (folder / "map.json").write_bytes(msgspec.json.encode(whole))
    (folder / "pushes.json").write_text(json.dumps(pushes))
    (folder / "index.html").write_text(_PAGE)
    (folder / "play.js").write_text(_PLAY.replace("PUSH_EVERY_MS", str(PUSH_EVERY_MS)))
    (folder / "static").symlink_to(Path(str(resources.files("redoubt.center") / "static")))
    print(f"{PUSHES} pushes of {CHANGES} cells, {len(pushes[0]) / 1e3:.0f} kB each, recorded")
    return folder


def _play(chromium: str, url: str, width: int) -> dict[str, Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(url)
        # Waiting for an expression would need eval, which the policy forbids here too.
        page.wait_for_selector("#played", timeout=120_000)
        result: dict[str, Any] = page.evaluate("window.result")
        browser.close()
        return result


def _report(width: int, result: dict[str, Any]) -> None:
    updates, frames = result["updates"], result["frames"]
    p95 = statistics.quantiles(updates, n=20)[-1]
    rate = 1000 * len(frames) / sum(frames)
    late = sum(frame > 1.5 * 1000 / 60 for frame in frames)
    print(
        f"{width} px, cells of {result['cell']} px: update median "
        f"{statistics.median(updates):.1f} ms, p95 {p95:.1f} ms (must reach {LIMIT_MS:.0f} ms); "
        f"{rate:.1f} frames/s (must reach 60), {late} of {len(frames)} frames late; "
        f"{result['drawn']} cells drawn"
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """A bench prints its figures only."""


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()
