"""A browser, and centers in processes of their own that serve pages over a small mine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.pages.people import EMAIL, PASSWORD

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VENDOR = ROOT / "src" / "redoubt" / "center" / "static" / "vendor" / "htmx.min.js"


class Served:
    """A center in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url

    def tell(self, command: str) -> None:
        """Send one command and wait until it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == "ok"


@contextmanager
def serving(folder: Path, kind: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pages.serve", str(folder), kind],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), f"the {kind} mine was not served"
        yield Served(process, url)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where it is missing the test says so.

    For one module, because playwright holds an event loop on this thread as long as it lives, and
    the tests of other modules run theirs there.
    """
    named = os.environ.get("REDOUBT_CHROMIUM") or "chromium"
    path = shutil.which(named)
    missing = None if path else f"no Chromium at {named!r}: set REDOUBT_CHROMIUM"
    if not VENDOR.exists():
        missing = "the front-end libraries are not laid out: run `make env`"
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One virtual site of 120 machines."""
    with serving(tmp_path_factory.mktemp("mine") / "center", "mine") as served:
        yield served


class Complaints(list[str]):
    """What a page's console and network complained of; a test ends by asking that it is empty."""

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )


@contextmanager
def signed_in(
    browser: Browser, served: Served, width: int = 1440, height: int = 900
) -> Iterator[Page]:
    """A page at the overview, signed in by the form; nothing may be complained of on the way."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints = Complaints()
    complaints.watch(page)
    page.goto(served.url)
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{served.url}/")
    yield page
    context.close()
    assert not complaints


@pytest.fixture
def page(browser: Browser, mine: Served) -> Iterator[Page]:
    with signed_in(browser, mine) as found:
        yield found
