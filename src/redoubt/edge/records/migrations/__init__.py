"""The history of the records' tables, oldest first in `versions/`. Alembic reads it from here.

A new table or column: change `redoubt.edge.records.tables`, add a file in `versions/` by hand; the
tests compare the two. A released migration is never edited.
"""
