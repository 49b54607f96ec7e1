"""WhatsMiners with API version 3: length-prefixed JSON on TCP 4433. Reading needs no password."""

from redoubt.machines._driver import Driver
from redoubt.machines._json import decode_json
from redoubt.machines.whatsminer_v3.calls import CALLS, SERVICES
from redoubt.machines.whatsminer_v3.identify import is_whatsminer_v3
from redoubt.machines.whatsminer_v3.parse import FIELDS, read_state

DRIVER = Driver(
    family="whatsminer_v3",
    title="WhatsMiner, API 3",
    make="MicroBT",
    services=SERVICES,
    calls=CALLS,
    probe="get_device_info",
    is_family=is_whatsminer_v3,
    fields=FIELDS,
    decode=decode_json,
    state=read_state,
    unseen=(
        'Sleep is told by `working` "false" in the device\'s info; not seen on a real machine.',
        "Share counts per pool are read where a firmware sends them; the captured one does not.",
    ),
)
