"""Trouble that a task of the center lives through: told when it begins and when it is over."""

from __future__ import annotations

import logging

from redoubt.model.errors import RedoubtError


class Trouble:
    """One thing that is tried again and again; `what` is the sentence's subject in the log."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._failures = 0

    def met(self, exc: RedoubtError) -> None:
        if self._failures == 0:
            self._log.error("%s failed, will be tried again: %s", self._what, exc)
        self._failures += 1

    def over(self) -> None:
        if self._failures:
            self._log.info("%s works again, after %d failures", self._what, self._failures)
        self._failures = 0
