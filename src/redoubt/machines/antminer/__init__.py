"""Stock Antminers: cgminer API on TCP 4028, the rest behind a web server with Digest on port 80.

Replies come in two dialects: the old one of bmminer, with keys such as `chain_rate1`, and the new
one that `"new_api":true` asks for, with a list of chains. Firmwares that do not know the word
answer in the old one, so every call asks for the new and reads both.
"""

from redoubt.machines._driver import Driver
from redoubt.machines._json import decode_json
from redoubt.machines.antminer.calls import CALLS, SERVICES
from redoubt.machines.antminer.identify import is_stock_antminer
from redoubt.machines.antminer.parse import FIELDS, read_state

DRIVER = Driver(
    family="antminer",
    title="Antminer, stock firmware",
    make="Bitmain",
    services=SERVICES,
    calls=CALLS,
    probe="version",
    is_family=is_stock_antminer,
    fields=FIELDS,
    decode=decode_json,
    state=read_state,
    factory_logins=(("root", "root"),),
    unseen=(
        "No captured `stats`, `version` or `pools` reply of a stock machine was at hand: both "
        "dialects of `stats` are read from documentation, by meaning.",
        "Watts are read from `chain_power`, `total_power` or `power` where `stats` has one; stock "
        "firmwares mostly do not, and then they are estimated.",
        "Sleep is told by `miner-mode` 1 in the new dialect; not seen on a real machine.",
    ),
)
