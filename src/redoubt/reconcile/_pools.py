"""When two spellings of a pool or an account mean the same one."""

from __future__ import annotations

from functools import lru_cache

_BECH32 = ("bc1", "tb1")


@lru_cache(maxsize=8192)
def account_of(user: str) -> str:
    """Return the account in a worker name: the part before the first dot.

    Case counts, since two accounts of one pool may differ in nothing else; bech32 wallets (BIP 173)
    are the same in upper and lower case.
    """
    account = user.partition(".")[0].strip()
    return account.lower() if account.lower().startswith(_BECH32) else account


@lru_cache(maxsize=8192)
def fold_url(url: str) -> str:
    """Return host:port of a stratum URL; scheme, user, path and case make no other pool."""
    text = url.strip().lower()
    rest = text.partition("://")[2] or text
    return rest.partition("/")[0].rpartition("@")[2].partition("#")[0]
