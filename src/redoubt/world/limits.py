"""How many files this process may open: one per listening socket, one per connection."""

from __future__ import annotations

import resource

SPARE_FILES = 256


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def describe_shortage(limit: int, listeners: int, machines: int) -> str | None:
    """Return a sentence where the limit is too low for a fleet that is polled all at once."""
    needed = listeners + machines + SPARE_FILES
    if limit >= needed:
        return None
    return (
        f"{machines} virtual machines need {needed} open files, this process may open {limit}: "
        f"raise the hard limit (ulimit -Hn {needed}) or ask for fewer machines"
    )
