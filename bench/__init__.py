"""Figures that Redoubt promises, each measured against the peer it is stated for, in one run.

Every module here is one bench with a `main() -> None` that prints what it measured and how. They
measure, they do not assert: a figure that falls short is printed as it is.
"""
