"""How many files this process may open: each connection to a machine is one."""

from __future__ import annotations

import resource

SPARE_FILES = 128
"""Files that are open anyway: the spool, the link, libraries, standard streams."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard


def describe_shortage(limit: int, connections: int) -> str | None:
    """Return a sentence where `limit` is too low for so many connections at once, else None."""
    needed = connections + SPARE_FILES
    if limit >= needed:
        return None
    return (
        f"{connections} connections at once need {needed} open files, this process may open "
        f"{limit}: raise the hard limit (ulimit -Hn {needed})"
    )
