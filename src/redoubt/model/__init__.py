"""The ground floor: the nouns and units that every room shares.

Nothing here reads a clock, a socket or a disk. Nouns are frozen msgspec structs; a bare number
carries its unit in its name (`hashrate_hs`, `power_w`, `temp_c`); `at` is an aware UTC datetime.

Start with `register` (what is allowed), then `status` (what one machine says) and `finding`
(a difference that somebody should look at). `hardware/` holds makers' figures as tables.
"""
