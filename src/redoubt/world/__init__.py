"""A small honest mine: virtual machines that speak their families' real protocols on loopback.

Each machine listens on its own address in 127.0.0.0/8 and answers as its firmware would, quirks
included. Behind the protocols runs a physics that is only just good enough to look at. The world
keeps the truth (what a machine really hashes and draws), which no other room may read, so that
tests can compare what Redoubt believes with what is so.

Written from the protocols, never from `redoubt.machines`: a mistake made twice would hide itself.

Start with `running.start`, which opens a world; then `fleet` (who stands where), `physics` (what
happens to it), `families` (how it answers) and `incidents` (what goes wrong, by script).
`load` makes what the benches need in bulk.
"""

from redoubt.world.fleet import FleetPlan, VirtualMachine, plan_fleet
from redoubt.world.incidents import Script, load_script, parse_script
from redoubt.world.misbehaviour import Misbehaviour
from redoubt.world.running import Truth, World, WorldPlan, start

__all__ = [
    "FleetPlan",
    "Misbehaviour",
    "Script",
    "Truth",
    "VirtualMachine",
    "World",
    "WorldPlan",
    "load_script",
    "parse_script",
    "plan_fleet",
    "start",
]
