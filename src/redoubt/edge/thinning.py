"""Telemetry at minute resolution: what a site keeps when its disk is full and the link is down.

Real rows only, nothing averaged: of each machine, minute and state the last row stays, so a short
stop is still seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from redoubt.edge.batches import SAMPLE_SCHEMA, decode_samples, encode_table

_MINUTE_MS = 60_000


def thin_samples(bodies: Sequence[bytes]) -> tuple[bytes, int]:
    """Return one samples body with the last row per machine, minute and state, and its row count.

    Raises RemoteProtocolError where a body is not a samples body.
    """
    table = pa.concat_tables([decode_samples(body) for body in bodies]).unify_dictionaries()
    minutes = [(at or 0) // _MINUTE_MS for at in table["at"].cast(pa.int64()).to_pylist()]
    machines, states = table["machine"].to_pylist(), table["state"].to_pylist()
    last = {key: row for row, key in enumerate(zip(machines, minutes, states, strict=True))}
    kept = table.take(pa.array(sorted(last.values()), pa.int64())).cast(SAMPLE_SCHEMA)
    return encode_table(kept), kept.num_rows
