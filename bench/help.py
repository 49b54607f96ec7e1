"""`redoubt --help`: how long a person waits for the first answer. Must reach: 0.3 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15


def main() -> None:
    command = [str(Path(sys.executable).with_name("redoubt")), "--help"]
    times_s = [_run_s(command) for _ in range(RUNS)]
    print(
        f"redoubt --help: median {statistics.median(times_s) * 1000:.0f} ms, "
        f"slowest {max(times_s) * 1000:.0f} ms of {RUNS} (must reach 300 ms)"
    )


def _run_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
