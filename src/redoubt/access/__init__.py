"""Who may do what: principals and scopes, secrets and how they are kept, limits on guessing.

Pure: a request's facts, rows of records and `now` come in; a verdict or a new state goes out.
Start with `principal` (roles are sets of scopes), then `secret` (what is shown once and stored
hashed), `password` (what a password must be) and `guessing` (how often one may try).
"""
