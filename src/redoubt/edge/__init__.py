"""The only room that touches the outside: one adapter per outside thing.

Adapters turn library errors into ours once, are bounded in size and time, and decide nothing.
Start with `batches` (what travels between site and center) and `miner/` (machines).
"""
