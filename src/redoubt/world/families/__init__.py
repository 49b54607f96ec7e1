"""How each family answers: what it shows of itself, in its own protocol, byte quirks included.

A family is a module with two parts: pure functions from `Shown` to bytes, and an asyncio protocol
that frames them. Nothing here comes from `redoubt.machines`.
"""
