"""Prometheus gets sums, no wallet and no serial; beyond loopback only by a token."""

from __future__ import annotations

from datetime import timedelta

import pytest

from redoubt.access.principal import Scope
from redoubt.center.context import Center
from redoubt.center.metrics import HELP, render
from redoubt.center.settings import Settings
from redoubt.edge.batches import MachineDetail, decode_samples, encode_samples
from redoubt.model.ids import MachineId, OrganisationId, SiteId
from redoubt.model.sample import sample_of
from redoubt.model.status import MachineState, MachineStatus, PoolStatus
from tests.center.conftest import ACME, NOW, ZETA, Connect, add_token

METRICS = frozenset({Scope.METRICS})


def furnish(center: Center, organisation: OrganisationId) -> None:
    status = MachineStatus(
        address="10.0.0.7",
        at=NOW - timedelta(seconds=5),
        serial="SERIAL-1",
        state=MachineState.HASHING,
        hashrate_hs=1e14,
        power_w=3000.0,
        pools=(PoolStatus(0, url="stratum+tcp://pool", user="bc1qwallet.rig"),),
    )
    site, machine = SiteId("bunker"), MachineId("m1")
    table = decode_samples(encode_samples([sample_of(machine, status)]))
    center.latest.apply_samples(organisation, site, table, NOW)
    center.latest.apply_details(organisation, site, [MachineDetail(machine=machine, status=status)])


async def test_loopback_sees_every_organisation_without_signing_in(
    center: Center, connect: Connect
) -> None:
    furnish(center, ACME)
    furnish(center, ZETA)
    answer = await connect().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for organisation in (ACME, ZETA):
        labels = f'organisation="{organisation}",site="bunker"'
        assert f"redoubt_site_hashrate_hs{{{labels}}} 100000000000000" in answer.text
        assert f'redoubt_site_machines{{{labels},state="hashing"}} 1' in answer.text
    assert "redoubt_inbox_batches 0" in answer.text
    for secret in ("bc1qwallet", "SERIAL", "10.0.0.7", "m1"):
        assert secret not in answer.text


async def test_elsewhere_a_token_sees_its_own(center: Center, connect: Connect) -> None:
    furnish(center, ACME)
    furnish(center, ZETA)
    assert (await connect(peer="10.1.2.3").get("/metrics")).status_code == 401
    reader = add_token(center, frozenset({Scope.READ}))
    assert (await connect(token=reader, peer="10.1.2.3").get("/metrics")).status_code == 403
    client = connect(token=add_token(center, METRICS), peer="10.1.2.3")
    answer = await client.get("/metrics")
    assert 'organisation="acme"' in answer.text
    assert "zeta" not in answer.text
    assert "redoubt_inbox" not in answer.text


async def test_a_bad_token_opens_nothing_even_on_loopback(center: Center, connect: Connect) -> None:
    assert (await connect(token="rda1.guess").get("/metrics")).status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_what_a_proxy_hands_on_is_not_loopback(
    center: Center, connect: Connect, header: str
) -> None:
    answer = await connect().get("/metrics", headers={header: "10.1.2.3"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9090", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("127.0.0.2", 200),
        ("rebound.example:8080", 401),
        ("localhost.rebound.example", 401),
        ("10.1.2.3", 401),
        ("[", 401),
        ("", 401),
    ],
)
async def test_a_page_that_rebinds_its_name_to_loopback_reads_nothing(
    center: Center, connect: Connect, host: str, status: int
) -> None:
    answer = await connect().get("/metrics", headers={"Host": host})
    assert answer.status_code == status


class TestBehindAProxy:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(public_url="https://mine.example", agent_listen="127.0.0.1:0")

    async def test_a_token_is_always_needed(self, center: Center, connect: Connect) -> None:
        assert (await connect().get("/metrics")).status_code == 401


def test_labels_cannot_break_out_of_their_quotes() -> None:
    text = render([("redoubt_inbox_rows", (("site", 'a"\n\\'),), 1.5)])
    assert text.splitlines()[-1] == 'redoubt_inbox_rows{site="a\\"\\n\\\\"} 1.5'
    assert all(words.endswith(".") for words in HELP.values())
