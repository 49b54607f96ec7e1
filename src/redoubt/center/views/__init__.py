"""View models: what a page or an API answer says, as values, before anybody writes HTML or JSON.

Everything here but `gather` is pure: a `Fleet` (the register joined with the latest state), open
findings and `now` come in; frozen structs go out. Both `pages/` and `read_api.py` show the same
ones, so that a figure cannot differ between the two. Start with `fleet`, then `overview`.
"""
