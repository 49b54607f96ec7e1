"""The site agent: finds machines, reads them, keeps what it read safe and brings it to the center.

Each file is named for what flows in it: `scan` and `poller` read machines. Start with `poller`.
"""
