"""How often one may guess a secret: a token bucket per key, as a value that time passes over.

Keys are what a guesser would have to change: the address it comes from, the account it tries. Only
failures cost, so that a correct sign-in is never refused for being the tenth of the day.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

import msgspec

MAX_KEYS = 20_000
"""Buckets kept; the longest untouched go first, and they are the fullest."""


class Allowance(msgspec.Struct, frozen=True):
    """`burst` failures at once, then one more every `refill_s` seconds."""

    burst: int
    refill_s: float


class Bucket(msgspec.Struct, frozen=True):
    """How many failures were left at `at`; a fraction is a part of the next."""

    left: float
    at: datetime


def refill(bucket: Bucket, allowance: Allowance, now: datetime) -> Bucket:
    """Return the bucket as it is at `now`. A clock that went back changes nothing."""
    elapsed = max(0.0, (now - bucket.at).total_seconds())
    return Bucket(min(float(allowance.burst), bucket.left + elapsed / allowance.refill_s), now)


class GuessLimit:
    """The buckets of all keys, bounded."""

    def __init__(self, allowance: Allowance, max_keys: int = MAX_KEYS) -> None:
        self._allowance = allowance
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def attempt(self, key: str, now: datetime) -> float:
        """Charge one attempt and return 0.0, or return how many seconds `key` must wait first.

        The charge comes before the secret is checked: a hundred attempts at the same moment would
        otherwise all be let through.
        """
        bucket = self._bucket(key, now)
        if bucket.left < 1.0:
            return (1.0 - bucket.left) * self._allowance.refill_s
        self._keep(key, Bucket(bucket.left - 1.0, now))
        return 0.0

    def refund(self, key: str, now: datetime) -> None:
        """Give back the charge of an attempt that proved right."""
        bucket = self._bucket(key, now)
        self._keep(key, Bucket(min(float(self._allowance.burst), bucket.left + 1.0), now))

    def _keep(self, key: str, bucket: Bucket) -> None:
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)

    def _bucket(self, key: str, now: datetime) -> Bucket:
        known = self._buckets.get(key)
        if known is None:
            return Bucket(float(self._allowance.burst), now)
        return refill(known, self._allowance, now)
