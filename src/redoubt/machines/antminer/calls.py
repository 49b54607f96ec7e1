"""What a stock Antminer is asked: three calls at every poll, two for its identity.

One request per connection; joined commands (`stats+summary`) are refused. The web side answers
only with a password.
"""

from __future__ import annotations

from redoubt.machines._cgminer import cgminer_call
from redoubt.machines._driver import Auth, Bounds, Cadence, Call, Transport

SERVICES = {"antminer": 4028, "antminer.web": 80}

CALLS = (
    cgminer_call("stats", "antminer", arguments=',"new_api":true'),
    cgminer_call("summary", "antminer"),
    cgminer_call("pools", "antminer"),
    cgminer_call("version", "antminer", cadence=Cadence.IDENTITY),
    Call(
        name="system_info",
        transport=Transport.HTTP,
        service="antminer.web",
        request=b"GET /cgi-bin/get_system_info.cgi",
        cadence=Cadence.IDENTITY,
        auth=Auth.DIGEST,
        bounds=Bounds(max_bytes=1 << 16),
    ),
)
