"""How often one may try to sign in, and how many passwords are hashed at once."""

from __future__ import annotations

import asyncio
import ipaddress
from datetime import datetime

from redoubt.access.guessing import Allowance, GuessLimit

BY_ADDRESS = Allowance(burst=10, refill_s=30.0)
BY_ACCOUNT = Allowance(burst=20, refill_s=60.0)
"""Wider than by address: nobody shall shut somebody else out with a few wrong guesses."""
MAX_HASHING = 2
"""Each takes 64 MiB and a core for a while."""


class SignIns:
    """Kept in memory: a restart forgives, and costs a guesser more time than it gives."""

    def __init__(self) -> None:
        self._by_address = GuessLimit(BY_ADDRESS)
        self._by_account = GuessLimit(BY_ACCOUNT)
        self.hashing = asyncio.Semaphore(MAX_HASHING)
        self.setting_up = asyncio.Lock()

    def attempt(self, address: str, email: str, now: datetime) -> float:
        """Charge an attempt and return 0.0, or return how many seconds there are to wait."""
        network = _network(address)
        wait_s = self._by_address.attempt(network, now)
        if wait_s:
            return wait_s
        wait_s = self._by_account.attempt(email, now)
        if wait_s:
            self._by_address.refund(network, now)
        return wait_s

    def succeed(self, address: str, email: str, now: datetime) -> None:
        """Give the charge back: the password was right."""
        self._by_address.refund(_network(address), now)
        self._by_account.refund(email, now)


def _network(address: str) -> str:
    """An IPv6 customer has a whole /64 to guess from, so that counts as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))
