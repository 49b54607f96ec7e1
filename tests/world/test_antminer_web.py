"""The Antminer's web pages stand behind RFC 7616 Digest, as lighttpd does it."""

from __future__ import annotations

import hashlib
import json

import aiohttp
import pytest

from redoubt.world import VirtualMachine, World
from redoubt.world.families.antminer_web import NONCE_SECONDS, make_nonce
from tests.world.talk import http_get, with_quirk, without_quirk, world_of

ANTMINERS = {"antminer": 1.0}
INFO = "/cgi-bin/get_system_info.cgi"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest(
    machine: VirtualMachine,
    nonce: str,
    *,
    uri: str = INFO,
    password: str | None = None,
    count: int = 1,
    qop: bool = True,
) -> str:
    """Return an Authorization header, made straight from RFC 7616."""
    realm = "antMiner Configuration"
    secret = md5(f"root:{realm}:{machine.password if password is None else password}")
    what = md5(f"GET:{uri}")
    said = f'Digest username="root", realm="{realm}", nonce="{nonce}", uri="{uri}"'
    if not qop:
        response = md5(f"{secret}:{nonce}:{what}")
        return f'Authorization: {said}, response="{response}"'
    response = md5(f"{secret}:{nonce}:{count:08x}:0a4f113b:auth:{what}")
    extra = f'qop=auth, nc={count:08x}, cnonce="0a4f113b"'
    return f'Authorization: {said}, {extra}, response="{response}"'


async def page(
    world: World, machine: VirtualMachine, header: str, target: str = INFO
) -> tuple[int, dict[str, str], bytes]:
    return await http_get(machine.address, world.ports["antminer.web"], target, (header,))


async def test_without_sign_in_it_says_how() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        machine = world.machines[0]
        status, headers, _ = await http_get(machine.address, world.ports["antminer.web"], INFO)
    assert status == 401
    assert headers["www-authenticate"].startswith('Digest realm="antMiner Configuration", nonce="')
    assert 'qop="auth"' in headers["www-authenticate"]


async def test_another_ones_client_can_sign_in() -> None:
    """aiohttp's Digest is nobody's we wrote: were ours wrong twice over, it would disagree."""
    async with world_of(20, mixture=ANTMINERS) as world:
        for machine in world.machines:
            sign_in = aiohttp.DigestAuthMiddleware(machine.user, machine.password)
            url = f"http://{machine.address}:{world.ports['antminer.web']}{INFO}"
            async with (
                aiohttp.ClientSession(middlewares=(sign_in,)) as session,
                session.get(url) as response,
            ):
                assert response.status == 200
                document = json.loads(await response.read())
            assert document["macaddr"] == machine.mac
            assert document["serinum"] == machine.serial
            assert document["minertype"] == machine.model.reported


async def test_a_nonce_is_good_for_many_requests_and_then_stale() -> None:
    now = [1_800_000_000.0]
    async with world_of(1, mixture=ANTMINERS, clock=lambda: now[0]) as world:
        machine = world.machines[0]
        nonce = make_nonce(machine, int(now[0]))
        for count in (1, 2, 9):
            status, _, _ = await page(world, machine, digest(machine, nonce, count=count))
            assert status == 200
        now[0] += NONCE_SECONDS + 1
        status, headers, _ = await page(world, machine, digest(machine, nonce))
    assert status == 401
    assert "stale=true" in headers["www-authenticate"]


async def test_the_older_form_without_qop_is_taken_too() -> None:
    async with world_of(1, mixture=ANTMINERS) as world:
        machine = world.machines[0]
        nonce = make_nonce(machine, int(world.clock()))
        status, _, _ = await page(world, machine, digest(machine, nonce, qop=False))
    assert status == 200


async def test_what_does_not_open_the_door() -> None:
    async with world_of(2, mixture=ANTMINERS) as world:
        machine, other = world.machines
        now = int(world.clock())
        nonce = make_nonce(machine, now)
        for header in (
            digest(machine, nonce, password="wrong"),
            digest(machine, nonce, uri="/cgi-bin/get_network_info.cgi"),
            digest(machine, make_nonce(other, now)),
            digest(machine, "5f5e100:00000000000000000000000000000000"),
            digest(machine, "ÿ" * 12),
            "Authorization: Basic cm9vdDpyb290",
            "Authorization: Digest " + "a" * 4000,
        ):
            status, headers, _ = await page(world, machine, header)
            assert status == 401, header
            assert "stale" not in headers["www-authenticate"]


async def test_changed_passwords_keep_the_factory_one_out() -> None:
    async with world_of(1, mixture=ANTMINERS, changed_passwords=1.0) as world:
        machine = world.machines[0]
        nonce = make_nonce(machine, int(world.clock()))
        factory, _, _ = await page(world, machine, digest(machine, nonce, password="root"))
        own, _, _ = await page(world, machine, digest(machine, nonce))
    assert (factory, own) == (401, 200)


@pytest.mark.parametrize("name", ["stats", "summary", "pools"])
async def test_newer_firmware_shows_its_documents_on_the_web_and_older_has_no_such_page(
    name: str,
) -> None:
    target = f"/cgi-bin/{name}.cgi"
    async with world_of(140, mixture=ANTMINERS) as world:
        found: list[int] = []
        for machine in (with_quirk(world, "new_api"), without_quirk(world, "new_api")):
            nonce = make_nonce(machine, int(world.clock()))
            header = digest(machine, nonce, uri=target)
            status, _, _body = await page(world, machine, header, target)
            found.append(status)
    assert found == [200, 404]


async def test_older_web_servers_answer_in_chunks() -> None:
    async with world_of(140, mixture=ANTMINERS) as world:
        old, new = with_quirk(world, "chunked"), without_quirk(world, "chunked")
        answers = []
        for machine in (old, new):
            nonce = make_nonce(machine, int(world.clock()))
            answers.append(await page(world, machine, digest(machine, nonce)))
    (_, chunked, body), (_, whole, document) = answers
    assert chunked["transfer-encoding"] == "chunked"
    assert "content-length" not in chunked
    assert body.endswith(b"0\r\n\r\n")
    assert int(whole["content-length"]) == len(document)
