"""`make bench` runs every bench in turn; `make bench ARGS="poll scan"` only those named."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import bench


def main() -> int:
    known = sorted(
        module.name for module in pkgutil.iter_modules(bench.__path__) if module.name[0] != "_"
    )
    chosen = sys.argv[1:] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        print(
            f"no bench named {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr
        )
        return 2
    for name in chosen:
        print(f"\n== {name} ==", flush=True)
        began = time.monotonic()
        importlib.import_module(f"bench.{name}").main()
        print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
