"""The Antminer's web server: lighttpd with Digest sign-in in front of CGI pages.

Nonces carry the time they were made at, as lighttpd's do, so any of them is good for NONCE_SECONDS
and then `stale`. Follows RFC 7616 with MD5 and qop=auth, and its predecessor's form without qop.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from redoubt.world.families import antminer
from redoubt.world.families.http_port import HttpPort, Request, Response
from redoubt.world.fleet import VirtualMachine
from redoubt.world.live import LiveMachine
from redoubt.world.shown import Shown

REALM = "antMiner Configuration"
NONCE_SECONDS = 600
_PAIR = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')

PAGES: dict[str, Callable[[Shown], bytes]] = {
    "/cgi-bin/get_system_info.cgi": antminer.system_info,
    "/cgi-bin/get_network_info.cgi": antminer.network_info,
    "/cgi-bin/get_blink_status.cgi": antminer.blink_status,
}
NEWER_PAGES: dict[str, Callable[[Shown], bytes]] = {
    "/cgi-bin/stats.cgi": antminer.stats_new,
    "/cgi-bin/summary.cgi": antminer.summary_new,
    "/cgi-bin/pools.cgi": antminer.pools_new,
}
NOT_FOUND = b"<html><body><h1>404 Not Found</h1></body></html>\n"
SIGN_IN = b"<html><body><h1>401 Unauthorized</h1></body></html>\n"


class AntminerWeb(HttpPort):
    server = "lighttpd/1.4.32"

    def __init__(self, live: LiveMachine) -> None:
        super().__init__(live)
        self.chunked = "chunked" in live.machine.firmware.quirks

    def respond(self, request: Request) -> Response:
        verdict = check_digest(request, self.live.machine, self.live.now())
        if verdict != "ok":
            stale = ", stale=true" if verdict == "stale" else ""
            nonce = make_nonce(self.live.machine, int(self.live.now()))
            challenge = f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"{stale}'
            return Response(401, SIGN_IN, "text/html", (("WWW-Authenticate", challenge),))
        page = PAGES.get(request.path)
        if page is None and "new_api" in self.live.machine.firmware.quirks:
            page = NEWER_PAGES.get(request.path)
        if page is None:
            return Response(404, NOT_FOUND, "text/html")
        if request.method != "GET":
            return Response(405, b"", "text/html")
        return Response(200, self.live.reply(request.path, page))


def check_digest(request: Request, machine: VirtualMachine, now: float) -> str:
    """Return "ok", "stale" (right password, old nonce) or "no"."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "digest":
        return "no"
    said = {name.lower(): quoted or bare for name, quoted, bare in _PAIR.findall(text)}
    nonce = said.get("nonce", "")
    made_at = _nonce_time(machine, nonce)
    if (
        made_at is None
        or said.get("username") != machine.user
        or said.get("realm") != REALM
        or said.get("uri") != request.target
    ):
        return "no"
    expected = _response(machine, request, said)
    if not hmac.compare_digest(expected, said.get("response", "")):
        return "no"
    return "ok" if now - made_at < NONCE_SECONDS else "stale"


def make_nonce(machine: VirtualMachine, at: int) -> str:
    return f"{at:x}:{_md5(f'{at:x}:{machine.mac}:{machine.psu_serial}')}"


def _nonce_time(machine: VirtualMachine, nonce: str) -> int | None:
    """Return when a nonce of this machine was made, or None where it is not one of its own."""
    stamp = nonce.partition(":")[0]
    if not re.fullmatch(r"[0-9a-f]{1,12}", stamp) or make_nonce(machine, int(stamp, 16)) != nonce:
        return None
    return int(stamp, 16)


def _response(machine: VirtualMachine, request: Request, said: dict[str, str]) -> str:
    secret = _md5(f"{machine.user}:{REALM}:{machine.password}")
    what = _md5(f"{request.method}:{request.target}")
    if "qop" not in said:
        return _md5(f"{secret}:{said['nonce']}:{what}")
    middle = ":".join(said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    return _md5(f"{secret}:{middle}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("latin-1", "replace"), usedforsecurity=False).hexdigest()
