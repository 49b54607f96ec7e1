"""What a center is told: where it listens and how others reach it. Kept in DIR/center.toml."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path

import msgspec
import tomli_w

from redoubt.edge.files import write_file
from redoubt.model.errors import InputError

SETTINGS_FILE = "center.toml"


class Listen(msgspec.Struct, frozen=True):
    """An address and port to listen at; port 0 is any free one. `tls` is whether TLS is spoken."""

    host: str
    port: int
    tls: bool

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.netloc}"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`web_listen` and `agent_listen` are as `parse_listen` takes them.

    public_host: the name or address by which sites and people reach the center; it goes into the
    certificates. public_url: where a proxy in front serves the pages, if one does.
    web_certificate, web_key: PEM files for the web port in place of the center's own certificate.
    """

    web_listen: str = "127.0.0.1:8080"
    agent_listen: str = "127.0.0.1:8443"
    public_host: str | None = None
    public_url: str | None = None
    web_certificate: str | None = None
    web_key: str | None = None

    def web(self) -> Listen:
        return parse_listen(self.web_listen, "--web-listen")

    def agents(self) -> Listen:
        """The agents' port always speaks TLS."""
        listen = parse_listen(self.agent_listen, "--agent-listen")
        return Listen(listen.host, listen.port, tls=True)

    @property
    def base_url(self) -> str:
        """How people reach the pages, as far as settings tell."""
        web = self.web()
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.public_host and not web.is_loopback:
            return Listen(self.public_host, web.port, web.tls).url
        return web.url

    def check(self) -> Settings:
        """Raises InputError where the settings contradict each other."""
        web, agents = self.web(), self.agents()
        if (self.web_certificate is None) != (self.web_key is None):
            raise InputError("expected web_certificate and web_key together, got only one of them")
        for listen in (web, agents):
            if is_any_address(listen.host) and self.public_host is None:
                raise InputError(
                    f"a center that listens at {listen.netloc} needs public_host: the name or "
                    "address by which its sites reach it (--public-host)"
                )
        return self


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_any_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def parse_listen(text: str, what: str) -> Listen:
    """Return HOST:PORT, [IPV6]:PORT or either with http:// or https:// before it.

    Without a scheme it is plain HTTP on loopback and TLS anywhere else. Raises InputError where it
    cannot be read, or asks for plain HTTP beyond loopback.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "", text
    host, _, port = rest.rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if scheme not in ("", "http", "https") or not host or not _is_port(port):
        raise InputError(f"expected HOST:PORT for {what}, got {text[:80]!r}")
    if scheme == "http" and not is_loopback(host):
        raise InputError(
            f"{what} {text!r} would carry passwords over the network in the clear: plain HTTP is "
            "for loopback only; say https:// (or leave the scheme out), or put a TLS proxy before "
            "a loopback address"
        )
    return Listen(host, int(port), tls=scheme == "https" or (not scheme and not is_loopback(host)))


def load_settings(folder: Path) -> Settings:
    """Raises InputError where DIR/center.toml is missing or says what is not understood."""
    path = folder / SETTINGS_FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings).check()
    except FileNotFoundError as exc:
        raise InputError(
            f"{folder} is no control center: make one with `redoubt center init {folder}`"
        ) from exc
    except (OSError, ValueError, msgspec.ValidationError) as exc:
        raise InputError(f"{path} cannot be read: {exc}") from exc


def save_settings(settings: Settings, folder: Path) -> None:
    known = {key: value for key, value in msgspec.structs.asdict(settings).items() if value}
    write_file(folder / SETTINGS_FILE, tomli_w.dumps(known).encode())


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535
