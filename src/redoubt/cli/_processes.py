"""Programs as child processes that end with their parent, however it ends.

The demo introduces programs to each other as a user would: by their command lines. Each child's
words go to a log file in the demo's folder; one that dies early is reported with its last words.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from redoubt.model.errors import ServiceError

_PR_SET_PDEATHSIG = 1
_STOP_WITHIN_S = 8.0
_LAST_WORDS_LINES = 12


class Programs:
    """The children of one run, stopped in the reverse order of their start."""

    def __init__(self, log_folder: Path) -> None:
        self._logs = log_folder
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def log(self, name: str) -> Path:
        return self._logs / f"{name.replace(' ', '-')}.log"

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start `redoubt ARGUMENTS…`; its output goes to its log."""
        with self.log(name).open("ab") as sink:
            child = subprocess.Popen(
                [sys.executable, "-m", "redoubt", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._children.append((name, child))

    def wait_for(self, name: str, is_ready: Callable[[], bool], within_s: float) -> None:
        """Return when `is_ready()`. Raises ServiceError where the program ends or time is up."""
        deadline = time.monotonic() + within_s
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"the {name} was not ready within {within_s:.0f} s{self._last_words(name)}"
                )
            time.sleep(0.05)

    def check(self) -> None:
        """Raises ServiceError where a program has ended by itself."""
        for name, child in self._children:
            if child.poll() is not None:
                raise ServiceError(
                    f"the {name} ended with exit code {child.returncode}{self._last_words(name)}"
                )

    def stop(self) -> None:
        """End every program: ask all at once, wait, then insist."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WITHIN_S
        for _, child in reversed(self._children):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _last_words(self, name: str) -> str:
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        words = "\n  ".join(lines[-_LAST_WORDS_LINES:])
        return f"; its last words:\n  {words}" if words else " without a word"


@contextmanager
def programs(log_folder: Path) -> Iterator[Programs]:
    """Give a `Programs` whose children are stopped at the end of the block, at SIGTERM too."""
    running = Programs(log_folder)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield running
    finally:
        running.stop()


def sleep_until_stopped(running: Programs, seconds: float | None) -> None:
    """Return after `seconds`, or at Ctrl-C or SIGTERM. Raises ServiceError where a program ends."""
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        while deadline is None or time.monotonic() < deadline:
            running.check()
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Ask the kernel to end this child when its parent dies, even by SIGKILL (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
