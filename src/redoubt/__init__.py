"""Redoubt: a control room for mines in which every hash is accounted for.

A register says what is allowed; independent books (machine, meter, share, pool) say what happens;
`reconcile` joins them into findings. Start reading at ARCHITECTURE.md, then `model/`, the ground
floor.
"""

__version__ = "0.1.0"
