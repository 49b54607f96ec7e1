"""AxeOS (ESP-Miner) on Bitaxe and its kin: REST on port 80, from a small ESP32.

The board bears a handful of sockets, so it is asked one thing at a time. Fields come and go between
versions; each is read by itself.
"""

from redoubt.machines._driver import Driver
from redoubt.machines._json import decode_json
from redoubt.machines.axeos.calls import CALLS, SERVICES
from redoubt.machines.axeos.identify import is_axeos
from redoubt.machines.axeos.parse import FIELDS, read_state

DRIVER = Driver(
    family="axeos",
    title="AxeOS (Bitaxe)",
    make=None,
    services=SERVICES,
    calls=CALLS,
    probe="system_info",
    is_family=is_axeos,
    fields=FIELDS,
    decode=decode_json,
    state=read_state,
    unseen=(
        "`/api/system/asic` and the fields of versions after 2.4 (`hashRate_1m`, "
        "`expectedHashrate`, `deviceModel`, `fan2rpm`, `power_fault`) are read from the "
        "firmware's published interface, not from a captured reply.",
    ),
)
