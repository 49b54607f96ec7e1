"""Writes `requirements/*.lock`, from pyproject.toml and, for what stands outside it, the `*.in`.

Run as `tools/python -m tools.lock [--upgrade]`. The locks hold names, versions and the hashes of
every platform's files, and no index address. The fullest is resolved first and constrains the
others, so that all levels agree on every version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools import env

FULLEST = "bench.lock"
LOCKS = {
    FULLEST: ["pyproject.toml", "--extra", "center", "--group", "bench"],
    "dev.lock": ["pyproject.toml", "--extra", "center", "--group", "dev"],
    "demo.lock": ["pyproject.toml", "--extra", "center", "--group", "build"],
    "core.lock": ["pyproject.toml", "--group", "build"],
    "node.lock": ["requirements/node.in"],
    "uv.lock": ["requirements/uv.in"],
}
OLDEST_PYTHON = "3.11"
HEADER = "# Made by `make lock`; do not edit.\n"


def main(arguments: list[str]) -> int:
    """Write all locks; versions already locked are kept unless --upgrade is given."""
    env.ensure_uv()
    options = ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-build"]
    quiet = ["--quiet", "--no-header", "--no-annotate"]
    for name, sources in LOCKS.items():
        path = Path("requirements") / name
        inside = sources[0] == "pyproject.toml" and name != FULLEST
        constraint = ["--constraint", f"requirements/{FULLEST}"] if inside else []
        env.uv(
            "pip",
            "compile",
            *sources,
            *options,
            *quiet,
            *constraint,
            *arguments,
            "--output-file",
            path,
        )
        lock = env.ROOT / path
        lock.write_text(HEADER + lock.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
