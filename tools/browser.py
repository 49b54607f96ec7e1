"""Finds the Chromium that the page tests drive, installs Debian's where it can, prints the path.

The tests get the path as REDOUBT_CHROMIUM. Where there is none, that is said on stderr and the
tests that need it skip with the reason; under CI=true, where a silent skip would pass for a test,
it is an error instead. Playwright's own download is never used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium draws boxes for what our own two fonts do not cover, unless there is a third.
PACKAGES = ("chromium", "fonts-dejavu-core")


def main() -> int:
    """Print the browser's path, or say what is missing."""
    browser = find_browser()
    if browser is None and can_install():
        install()
        browser = find_browser()
    if browser is not None:
        print(browser)
        return 0
    is_ci = os.environ.get("CI") == "true"
    print(
        "redoubt: no browser for the page tests (looked for "
        f"{os.environ.get('REDOUBT_CHROMIUM') or ', '.join(NAMES)}): "
        "install Chromium (Debian: apt-get install chromium) or set REDOUBT_CHROMIUM=/path/to/it; "
        + ("with CI=true that is an error" if is_ci else "the tests that need it are skipped"),
        file=sys.stderr,
    )
    return 1 if is_ci else 0


def find_browser() -> str | None:
    """The browser the caller names, else the first on PATH."""
    named = os.environ.get("REDOUBT_CHROMIUM")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


def can_install() -> bool:
    """Whether we may install one. A browser that was named and is missing is a mistake to tell."""
    is_named = bool(os.environ.get("REDOUBT_CHROMIUM"))
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and not is_named


def install() -> None:
    """Install Debian's Chromium; a failure shows in apt's own words, and the browser stays away."""
    print("redoubt: installing Debian's Chromium for the page tests", file=sys.stderr)
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        [*apt, "update"],
        [*apt, "install", "-y", "--no-install-recommends", *PACKAGES],
    ):
        # apt's own output is for stderr: stdout carries the path and nothing else.
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if done.returncode:
            return


if __name__ == "__main__":
    sys.exit(main())
