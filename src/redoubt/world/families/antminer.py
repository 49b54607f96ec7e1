"""Stock Antminer documents: the 4028 API in both dialects, and the web pages.

The old dialect is what bmminer speaks to anybody; firmwares from about 2022 answer the newer one
to `{"new_api": true}`, and their web pages show the same documents. Written from the replies that
Bitmain's firmwares are documented to give; units are GH/s, whole degrees and rpm.
"""

from __future__ import annotations

from typing import Any

import msgspec

from redoubt.world.shown import Shown, ShownBoard

_encode = msgspec.json.encode
DESCRIPTION = "cgminer 1.0.0"
MAX_CHAINS = 4


def status(shown: Shown, code: int, message: str, letter: str = "S") -> dict[str, Any]:
    """Return the STATUS entry that heads every reply of the old dialect."""
    return {
        "STATUS": letter,
        "When": shown.at,
        "Code": code,
        "Msg": message,
        "Description": DESCRIPTION,
    }


def error(shown: Shown, code: int, message: str) -> bytes:
    return _encode({"STATUS": [status(shown, code, message, "E")], "id": 1})


def version(shown: Shown) -> bytes:
    firmware = shown.machine.firmware
    body = {
        "BMMiner": "1.0.0",
        "API": "3.1",
        "Miner": firmware.api,
        "CompileTime": firmware.version,
        "Type": shown.reported_model,
    }
    head = status(shown, 22, "BMMiner versions")
    return _encode({"STATUS": [head], "VERSION": [body], "id": 1})


def stats_old(shown: Shown) -> bytes:
    """Return `stats` in the old dialect; older firmwares forget the comma between its parts."""
    quirks = shown.machine.firmware.quirks
    head = _encode([status(shown, 70, "CGMiner stats")])
    first = _encode(
        {
            "BMMiner": "1.0.0",
            "Miner": shown.machine.firmware.api,
            "CompileTime": shown.machine.firmware.version,
            "Type": shown.reported_model,
        }
    )
    second = _encode(_stats_old_body(shown))
    joint = b"" if "missing_comma" in quirks else b","
    return b'{"STATUS":' + head + b',"STATS":[' + first + joint + second + b'],"id":1}'


def _stats_old_body(shown: Shown) -> dict[str, Any]:
    model = shown.machine.model
    rate_5s = _ghs(shown.hashrate_5s_hs)
    rate_average = _ghs(shown.hashrate_avg_hs)
    frequency = round(shown.frequency_mhz)
    text_rates = "missing_comma" in shown.machine.firmware.quirks
    body: dict[str, Any] = {
        "STATS": 0,
        "ID": "BTM_SOC0",
        "Elapsed": shown.uptime_s,
        "Calls": 0,
        "Wait": 0,
        "Max": 0,
        "Min": 99999999,
        "GHS 5s": f"{rate_5s:.2f}" if text_rates else rate_5s,
        "GHS av": rate_average,
        "rate_30m": _ghs(shown.hashrate_30m_hs),
        "Mode": 2,
        "miner_count": sum(board.answers for board in shown.boards),
        "frequency": frequency,
        "fan_num": len(shown.rpm),
    }
    for number, rpm in enumerate(shown.rpm, 1):
        body[f"fan{number}"] = rpm
    body["temp_num"] = len(shown.boards)
    for number, board in enumerate(shown.boards, 1):
        body[f"temp{number}"] = round(board.temp_board_c) if board.answers else 0
        body[f"temp2_{number}"] = round(board.temp_chip_c) if board.answers else 0
    by_chain: list[ShownBoard | None] = [*shown.boards, *[None] * MAX_CHAINS][:MAX_CHAINS]
    for kind, celsius in (("temp_pcb", _pcb), ("temp_chip", _chip), ("temp_pic", _pic)):
        for number, chain in enumerate(by_chain, 1):
            body[f"{kind}{number}"] = "-".join(map(str, celsius(chain)))
    body["total_rateideal"] = _ghs(shown.nominal_hs)
    body["rate_unit"] = "GH"
    body["total_freqavg"] = frequency
    body["total_acn"] = sum(board.chips for board in shown.boards)
    body["total rate"] = rate_average
    body["temp_max"] = max(round(board.temp_board_c) for board in shown.boards)
    body["no_matching_work"] = shown.hardware_errors
    for number, chain in enumerate(by_chain, 1):
        body[f"chain_acn{number}"] = chain.chips if chain else 0
    for number, chain in enumerate(by_chain, 1):
        body[f"chain_acs{number}"] = chip_map(chain) if chain else ""
    for number, chain in enumerate(by_chain, 1):
        body[f"chain_hw{number}"] = shown.hardware_errors // 3 if chain and chain.answers else 0
    for number, chain in enumerate(by_chain, 1):
        live = chain is not None and chain.answers
        body[f"chain_rate{number}"] = f"{chain.hashrate_hs / 1e9:.2f}" if chain and live else ""
    for number, chain in enumerate(by_chain, 1):
        body[f"freq{number}"] = frequency if chain and chain.answers else 0
    body["miner_version"] = shown.machine.firmware.api
    body["miner_id"] = "no miner id now" if model.boards else ""
    return body


def summary_old(shown: Shown) -> bytes:
    diff = shown.difficulty
    body = {
        "Elapsed": shown.uptime_s,
        "GHS 5s": _ghs(shown.hashrate_5s_hs),
        "GHS av": _ghs(shown.hashrate_avg_hs),
        "GHS 30m": _ghs(shown.hashrate_30m_hs),
        "Found Blocks": 0,
        "Getwork": shown.uptime_s // 12,
        "Accepted": shown.accepted,
        "Rejected": shown.rejected,
        "Hardware Errors": shown.hardware_errors,
        "Utility": round(shown.accepted * 60 / max(shown.uptime_s, 1), 2),
        "Discarded": shown.uptime_s * 90,
        "Stale": shown.stale,
        "Get Failures": 0,
        "Local Work": shown.uptime_s * 91,
        "Remote Failures": 0,
        "Network Blocks": shown.uptime_s // 600,
        "Total MH": round(shown.hashrate_avg_hs / 1e6 * shown.uptime_s, 1),
        "Work Utility": round(shown.hashrate_avg_hs * 60 / 2**32, 2),
        "Difficulty Accepted": float(shown.accepted * diff),
        "Difficulty Rejected": float(shown.rejected * diff),
        "Difficulty Stale": float(shown.stale * diff),
        "Best Share": shown.accepted * diff // 2,
        "Device Hardware%": 0.0,
        "Device Rejected%": 0.0,
        "Pool Rejected%": 0.0,
        "Pool Stale%": 0.0,
        "Last getwork": shown.at - 4,
    }
    return _encode({"STATUS": [status(shown, 11, "Summary")], "SUMMARY": [body], "id": 1})


def pools_old(shown: Shown) -> bytes:
    """Return `pools` in the old dialect; some firmwares leave a comma after the last pool."""
    head = _encode([status(shown, 7, f"{len(shown.pools)} Pool(s)")])
    diff = shown.difficulty
    pools = b",".join(
        _encode(
            {
                "POOL": index,
                "URL": pool.url,
                "Status": "Alive",
                "Priority": index,
                "Quota": 1,
                "Long Poll": "N",
                "Getworks": shown.uptime_s // 12 if pool.active else 1,
                "Accepted": pool.accepted,
                "Rejected": pool.rejected,
                "Discarded": 0,
                "Stale": pool.stale,
                "Get Failures": 0,
                "Remote Failures": 0,
                "User": pool.user,
                "Last Share Time": "0:00:04" if pool.active else "0",
                "Diff": f"{diff / 1000:.3g}K" if diff >= 1000 else str(diff),
                "Diff1 Shares": 0,
                "Proxy Type": "",
                "Proxy": "",
                "Difficulty Accepted": float(pool.accepted * diff),
                "Difficulty Rejected": float(pool.rejected * diff),
                "Difficulty Stale": float(pool.stale * diff),
                "Last Share Difficulty": float(diff),
                "Has Stratum": True,
                "Stratum Active": pool.active,
                "Stratum URL": pool.url.removeprefix("stratum+tcp://") if pool.active else "",
                "Has GBT": False,
                "Best Share": pool.accepted * diff // 2,
                "Pool Rejected%": 0.0,
                "Pool Stale%": 0.0,
            }
        )
        for index, pool in enumerate(shown.pools)
    )
    comma = b"," if "trailing_comma" in shown.machine.firmware.quirks else b""
    return b'{"STATUS":' + head + b',"POOLS":[' + pools + comma + b'],"id":1}'


def stats_new(shown: Shown) -> bytes:
    body = {
        "elapsed": shown.uptime_s,
        "rate_5s": _ghs(shown.hashrate_5s_hs),
        "rate_30m": _ghs(shown.hashrate_30m_hs),
        "rate_avg": _ghs(shown.hashrate_avg_hs),
        "rate_ideal": _ghs(shown.nominal_hs),
        "rate_unit": "GH/s",
        "chain_num": len(shown.boards),
        "fan_num": len(shown.rpm),
        "fan": list(shown.rpm),
        "hwp_total": 0.0,
        "miner-mode": 0,
        "freq-level": 100,
        "chain": [_chain(shown, board) for board in shown.boards],
    }
    return _new_document(shown, "stats", "STATS", [body])


def summary_new(shown: Shown) -> bytes:
    body = {
        "elapsed": shown.uptime_s,
        "rate_5s": _ghs(shown.hashrate_5s_hs),
        "rate_30m": _ghs(shown.hashrate_30m_hs),
        "rate_avg": _ghs(shown.hashrate_avg_hs),
        "rate_ideal": _ghs(shown.nominal_hs),
        "rate_unit": "GH/s",
        "hw_all": shown.hardware_errors,
        "bestshare": shown.accepted * shown.difficulty // 2,
        "status": [
            _check("rate", "", 0),
            _check("network", "", 0),
            _check("fans", "fan lost" if shown.dead_fans else "", 2 if shown.dead_fans else 0),
            _check("temp", "temp too high" if shown.hot else "", 1 if shown.hot else 0),
        ],
    }
    return _new_document(shown, "summary", "SUMMARY", [body])


def pools_new(shown: Shown) -> bytes:
    diff = shown.difficulty
    pools = [
        {
            "index": index,
            "url": pool.url,
            "user": pool.user,
            "status": "Alive",
            "priority": index,
            "getworks": shown.uptime_s // 12 if pool.active else 1,
            "accepted": pool.accepted,
            "rejected": pool.rejected,
            "discarded": 0,
            "stale": pool.stale,
            "diff": str(diff),
            "diff1": 0,
            "diffa": float(pool.accepted * diff),
            "diffr": pool.rejected * diff,
            "diffs": pool.stale * diff,
            "lsdiff": diff if pool.active else 0,
            "lstime": "0:00:04" if pool.active else "0",
        }
        for index, pool in enumerate(shown.pools)
    ]
    return _new_document(shown, "pools", "POOLS", pools)


def system_info(shown: Shown) -> bytes:
    """Return /cgi-bin/get_system_info.cgi: the only place of MAC and serial."""
    return _encode(
        {
            "minertype": shown.reported_model,
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": shown.mac,
            "hostname": shown.hostname,
            "ipaddress": shown.address,
            "netmask": "255.0.0.0",
            "gateway": "",
            "dnsservers": "",
            "system_mode": "GNU/Linux",
            "system_kernel_version": "Linux 4.6.0-xilinx-gff8137b-dirty",
            "system_filesystem_version": shown.machine.firmware.version,
            "firmware_type": "Release",
            "serinum": shown.serial,
        }
    )


def network_info(shown: Shown) -> bytes:
    return _encode(
        {
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": shown.mac,
            "ipaddress": shown.address,
            "netmask": "255.0.0.0",
            "conf_nettype": "DHCP",
            "conf_hostname": shown.hostname,
            "conf_ipaddress": "",
            "conf_netmask": "",
            "conf_gateway": "",
            "conf_dnsservers": "",
        }
    )


def blink_status(_shown: Shown) -> bytes:
    return b'{"blink":false}'


def chip_map(board: ShownBoard) -> str:
    """Return a board's chips as the firmware draws them: `o` answers, `x` does not, by threes."""
    alive = min(max(board.chips, 0), board.chips_built)
    marks = "o" * alive + "x" * (board.chips_built - alive) if board.answers else ""
    return "".join(f" {marks[start : start + 3]}" for start in range(0, len(marks), 3))


def _chain(shown: Shown, board: ShownBoard) -> dict[str, Any]:
    answers = board.answers
    return {
        "index": board.index,
        "freq_avg": round(shown.frequency_mhz) if answers else 0,
        "rate_ideal": _ghs(shown.nominal_hs / len(shown.boards)),
        "rate_real": _ghs(board.hashrate_hs) if answers else 0.0,
        "asic_num": board.chips,
        "asic": chip_map(board),
        "temp_pic": _pic(board) if answers else [],
        "temp_pcb": _pcb(board) if answers else [],
        "temp_chip": _chip(board) if answers else [],
        "hw": shown.hardware_errors // 3 if answers else 0,
        "eeprom_loaded": answers,
        "sn": board.serial if answers else "",
        "hwp": 0.0,
        "tpl": [],
    }


def _new_document(shown: Shown, message: str, key: str, rows: list[Any]) -> bytes:
    return _encode(
        {
            "STATUS": {
                "STATUS": "S",
                "when": shown.at,
                "Msg": message,
                "api_version": "1.0.0",
            },
            "INFO": {
                "miner_version": shown.machine.firmware.api,
                "CompileTime": shown.machine.firmware.version,
                "type": shown.reported_model,
            },
            key: rows,
        }
    )


def _check(kind: str, message: str, code: int) -> dict[str, Any]:
    return {"type": kind, "status": "e" if code else "s", "code": code, "msg": message}


def _sensors(highest_c: float, spread_c: int) -> list[int]:
    """Four sensors: two where the air comes in, two where it leaves; the last is the hottest."""
    top = round(highest_c)
    return [top - spread_c, top - spread_c - 2, top - 1, top]


def _chip(board: ShownBoard | None) -> list[int]:
    return _sensors(board.temp_chip_c, 14) if board and board.answers else [0, 0, 0, 0]


def _pcb(board: ShownBoard | None) -> list[int]:
    return _sensors(board.temp_board_c, 14) if board and board.answers else [0, 0, 0, 0]


def _pic(board: ShownBoard | None) -> list[int]:
    return _sensors(board.temp_board_c - 8, 14) if board and board.answers else [0, 0, 0, 0]


def _ghs(hashrate_hs: float) -> float:
    return round(hashrate_hs / 1e9, 2)
