"""A site becomes its center's, and nobody else's; its certificate lives as long as it is wanted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from redoubt.edge.agent_link import AgentLink
from redoubt.edge.enrolment import EnrolmentToken, new_enrolment_token
from redoubt.edge.keys import (
    AgentIdentity,
    issue_agent_certificate,
    load_certificate,
    load_key,
    new_authority,
    parse_agent_identity,
    request_certificate,
)
from redoubt.edge.tls import client_context
from redoubt.model.errors import InputError, RemoteError, RemoteProtocolError
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.site.config import load_config, parse_center_url
from redoubt.site.enrol import enrol, keep_certificate
from redoubt.site.folder import SiteFolder
from redoubt.site.renew_flow import renew_if_due
from redoubt.site.run import open_agent
from tests.site.center_end import IDENTITY, CenterEnd, center_end, utc_now


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("https", [False, True])
async def test_a_token_makes_a_folder_a_site(tmp_path: Path, https: bool) -> None:
    folder = SiteFolder(tmp_path / "site")
    async with center_end(tmp_path / "center", https=https) as center:
        config = await enrol(folder, center.web_url, center.token)
    assert config == load_config(folder)
    assert (config.organisation, config.site) == (IDENTITY.organisation, IDENTITY.site)
    assert parse_agent_identity(load_certificate(folder.certificate)) == IDENTITY
    assert folder.key.stat().st_mode & 0o777 == 0o600


async def test_the_secret_never_reaches_a_center_that_the_token_does_not_name(
    tmp_path: Path,
) -> None:
    other = new_enrolment_token(new_authority("other", utc_now()).certificate)
    async with center_end(tmp_path / "center", https=True) as center:
        center.token = other
        with pytest.raises(RemoteProtocolError, match="another authority"):
            await enrol(SiteFolder(tmp_path / "site"), center.web_url, other)
    assert not SiteFolder(tmp_path / "site").is_enrolled


async def test_a_machine_in_the_middle_with_the_right_authority_gets_no_secret(
    tmp_path: Path,
) -> None:
    """The authority's certificate is public: who shows it must also hold a key it vouches for."""
    async with (
        center_end(tmp_path / "center", https=True) as center,
        center_end(tmp_path / "middle", https=True) as middle,
    ):
        middle.authority = center.authority
        with pytest.raises(RemoteError, match="cannot be reached"):
            await enrol(SiteFolder(tmp_path / "site"), middle.web_url, center.token)


async def test_a_web_port_with_a_certificate_that_the_system_trusts_can_enrol_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's own certificate, or a TLS proxy, stands before many a web port."""
    folder = SiteFolder(tmp_path / "site")
    async with (
        center_end(tmp_path / "center", https=True) as center,
        center_end(tmp_path / "proxy", https=True) as proxy,
    ):
        proxy.authority, proxy.token = center.authority, center.token
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "proxy" / "ca.crt"))
        await enrol(folder, proxy.web_url, center.token)
    assert parse_agent_identity(load_certificate(folder.certificate)) == IDENTITY


async def test_a_used_token_is_refused_with_the_centers_words(tmp_path: Path) -> None:
    async with center_end(tmp_path / "center") as center:
        spent = EnrolmentToken("x" * 43, center.token.fingerprint)
        with pytest.raises(InputError, match="token is not known") as raised:
            await enrol(SiteFolder(tmp_path / "site"), center.web_url, spent)
    assert "x" * 43 not in str(raised.value)


async def test_a_site_is_not_enrolled_over(tmp_path: Path) -> None:
    folder = SiteFolder(tmp_path / "site")
    async with center_end(tmp_path / "center") as center:
        await enrol(folder, center.web_url, center.token)
        with pytest.raises(InputError, match="site already"):
            await enrol(folder, center.web_url, center.token)


def test_plain_http_is_for_loopback_only() -> None:
    assert parse_center_url("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"
    for bad in ("http://center.example", "ftp://x", "center.example", "https://u:p@x"):
        with pytest.raises(InputError):
            parse_center_url(bad)


async def test_the_certificate_is_renewed_in_the_middle_of_its_life(tmp_path: Path) -> None:
    clock = Clock()
    folder = SiteFolder(tmp_path / "site")
    async with center_end(tmp_path / "center") as center:
        await enrol(folder, center.web_url, center.token)
        age(folder, center, days=3)
        async with open_agent(folder, clock) as agent:
            assert not await renew_if_due(agent)
            clock.now += timedelta(hours=13)
            assert await renew_if_due(agent)
            assert not await renew_if_due(agent)
            assert await agent.link.channel(0) is None
    assert center.renewals == 1
    expires_at = load_certificate(folder.certificate).not_valid_after_utc
    assert expires_at - utc_now() > timedelta(days=6, hours=23)


async def test_a_site_that_was_dark_past_expiry_comes_back_with_its_old_key(
    tmp_path: Path,
) -> None:
    folder = SiteFolder(tmp_path / "site")
    async with center_end(tmp_path / "center", https=True) as center:
        await enrol(folder, center.web_url, center.token)
        age(folder, center, days=30)
        async with open_agent(folder) as agent:
            with pytest.raises(RemoteError):
                await agent.link.channel(0)
            assert await renew_if_due(agent)
            assert await agent.link.channel(0) is None


def age(folder: SiteFolder, center: CenterEnd, days: float) -> None:
    """Make the site's certificate one that was issued `days` ago."""
    csr_pem = request_certificate(load_key(folder.key))
    folder.certificate.write_text(center.certificate_for(csr_pem, utc_now() - timedelta(days=days)))


async def test_a_renewal_cannot_make_an_agent_somebody_else(tmp_path: Path) -> None:
    folder = SiteFolder(tmp_path / "site")
    async with center_end(tmp_path / "center") as center:
        await enrol(folder, center.web_url, center.token)
    csr_pem = request_certificate(load_key(folder.key))
    someone = AgentIdentity(OrganisationId("north"), SiteId("bunker"), "agent-2")
    other = issue_agent_certificate(center.authority, csr_pem, someone, utc_now())
    with pytest.raises(RemoteProtocolError, match="another agent"):
        keep_certificate(folder, other)
    assert parse_agent_identity(load_certificate(folder.certificate)) == IDENTITY


async def test_an_agent_does_not_talk_to_a_center_of_another_authority(tmp_path: Path) -> None:
    folder = SiteFolder(tmp_path / "site")
    async with (
        center_end(tmp_path / "center") as center,
        center_end(tmp_path / "other") as other,
    ):
        await enrol(folder, center.web_url, center.token)
        context = client_context(folder.authority, folder.certificate, folder.key)
        link = AgentLink(other.agent_url, context)
        with pytest.raises(RemoteError, match="cannot be reached"):
            await link.channel(0)
        await link.close()
