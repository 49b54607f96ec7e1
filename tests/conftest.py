"""What every test may rely on.

Properties have no deadline: a busy machine is not a broken promise. In CI they are drawn from a
fixed seed, so that a run says the same twice; at a developer's they go on looking.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

IN_CI = os.environ.get("CI") == "true"
SHARED = Path(__file__).resolve().parents[2] / "shared"

settings.register_profile("developer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("developer"), derandomize=True)
settings.load_profile("ci" if IN_CI else "developer")


@pytest.fixture(scope="session")
def miner_replies() -> Path:
    """The folder of replies captured from real machines; it is not part of the repository."""
    folder = SHARED / "corpus" / "miner-replies"
    if not folder.is_dir():
        reason = "the captured replies in ../shared/corpus/miner-replies are not here"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
