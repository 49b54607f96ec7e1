"""Carrying a driver's calls to machines: one bounded TCP exchange per call, three framings.

`MinerClient.ask` is the whole interface. Everything a machine can do wrong ends in a RemoteError
within the call's bounds. Start with `exchange`, on which the transports stand.
"""

from redoubt.edge.miner.client import HttpRefusal, Login, MinerClient
from redoubt.edge.miner.exchange import ConnectRefused, ConnectTimeout

__all__ = [
    "ConnectRefused",
    "ConnectTimeout",
    "HttpRefusal",
    "Login",
    "MinerClient",
]
