"""The control center: takes in what sites send, keeps it, and shows people what their mine does.

One process (`run`): the pages and the API on the web port, the agents' port with mutual TLS, the
mover from the inbox to the telemetry store, and jobs. `context` is what all of them share, `app`
puts the web side together, `auth` says who a request acts for. Start with `context`.
"""
