"""An agent is who its certificate says, and the certificate says what the authority wrote."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from redoubt.edge.enrolment import check_pinned, new_enrolment_token, parse_enrolment_token
from redoubt.edge.files import write_file
from redoubt.edge.keys import (
    AgentIdentity,
    Authority,
    check_renewal,
    fingerprint,
    is_expired,
    issue_agent_certificate,
    issue_server_certificate,
    load_authority,
    load_key,
    load_signing_key,
    new_authority,
    new_key,
    new_signing_key,
    parse_agent_identity,
    parse_certificate,
    parse_public_key,
    public_key_text,
    renewal_due_at,
    request_certificate,
    save_authority,
    save_key,
    sign_renewal,
)
from redoubt.edge.tls import client_context, server_context
from redoubt.model.errors import InputError, RemoteProtocolError
from redoubt.model.ids import OrganisationId, SiteId

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WHO = AgentIdentity(OrganisationId("north"), SiteId("bunker"), "agent-1")
AUTHORITY = new_authority("center", NOW)


def test_the_identity_comes_back_out_of_a_certificate() -> None:
    pem = issue_agent_certificate(AUTHORITY, request_certificate(new_key()), WHO, NOW)
    certificate = parse_certificate(pem)
    assert parse_agent_identity(certificate) == WHO
    assert parse_agent_identity(certificate.public_bytes(serialization.Encoding.DER)) == WHO


def test_nothing_of_a_request_is_taken_but_its_key() -> None:
    key = new_key()
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")]))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier("redoubt:agent/south/other/agent-9")]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    csr_pem = request.public_bytes(serialization.Encoding.PEM).decode()
    certificate = parse_certificate(issue_agent_certificate(AUTHORITY, csr_pem, WHO, NOW))
    assert parse_agent_identity(certificate) == WHO
    assert certificate.public_key() == key.public_key()
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def test_other_keys_and_other_text_are_no_requests() -> None:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    for bad in (csr, "", "x" * 100_000, request_certificate(new_key()).replace("M", "N", 5)):
        with pytest.raises(RemoteProtocolError, match="request cannot be used"):
            issue_agent_certificate(AUTHORITY, bad, WHO, NOW)


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_no_text_is_taken_for_a_certificate(text: str | bytes) -> None:
    der, pem = (text, "") if isinstance(text, bytes) else (b"", text)
    with pytest.raises(RemoteProtocolError):
        parse_agent_identity(der)
    with pytest.raises(RemoteProtocolError):
        parse_certificate(pem)


@pytest.mark.parametrize("part", ["", "a/b", "x" * 65, "-a", "ä"])
def test_a_part_that_cannot_be_an_id_never_gets_into_a_certificate(part: str) -> None:
    csr_pem = request_certificate(new_key())
    with pytest.raises(InputError):
        issue_agent_certificate(AUTHORITY, csr_pem, WHO._replace(agent=part), NOW)


def test_a_servers_certificate_is_not_an_agents() -> None:
    key = new_key()
    pem = issue_server_certificate(AUTHORITY, key.public_key(), ["localhost", "127.0.0.1"], NOW)
    with pytest.raises(RemoteProtocolError, match="not an agent's"):
        parse_agent_identity(parse_certificate(pem))


def test_a_certificate_is_due_in_the_middle_of_its_seven_days() -> None:
    pem = issue_agent_certificate(AUTHORITY, request_certificate(new_key()), WHO, NOW)
    certificate = parse_certificate(pem)
    due_at = renewal_due_at(certificate)
    assert abs(due_at - (NOW + timedelta(days=3.5))) < timedelta(hours=1)
    assert not is_expired(certificate, NOW + timedelta(days=6.9))
    assert is_expired(certificate, NOW + timedelta(days=7))


def test_only_the_old_keys_holder_can_renew() -> None:
    key, csr_pem = new_key(), request_certificate(new_key())
    old_pem = issue_agent_certificate(AUTHORITY, request_certificate(key), WHO, NOW)
    assert check_renewal(AUTHORITY, old_pem, csr_pem, sign_renewal(key, csr_pem)) == WHO
    stranger = new_authority("stranger", NOW)
    forged_pem = issue_agent_certificate(stranger, request_certificate(key), WHO, NOW)
    for pem, signature in (
        (old_pem, sign_renewal(new_key(), csr_pem)),
        (old_pem, sign_renewal(key, request_certificate(key))),
        (old_pem, b""),
        (forged_pem, sign_renewal(key, csr_pem)),
    ):
        with pytest.raises(RemoteProtocolError, match="not signed by a certificate"):
            check_renewal(AUTHORITY, pem, csr_pem, signature)


def test_keys_come_back_from_files_that_others_cannot_read(tmp_path: Path) -> None:
    save_authority(AUTHORITY, tmp_path)
    again = load_authority(tmp_path)
    assert fingerprint(again.certificate) == fingerprint(AUTHORITY.certificate)
    assert again.key.public_key() == AUTHORITY.key.public_key()
    signing = new_signing_key()
    save_key(signing, tmp_path / "signing.key")
    assert load_signing_key(tmp_path / "signing.key").public_key() == signing.public_key()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("*.key")} == {0}


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    save_key(new_key(), path)
    path.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        load_key(path)


def test_a_key_of_another_kind_is_not_used(tmp_path: Path) -> None:
    save_key(new_signing_key(), tmp_path / "a")
    with pytest.raises(InputError, match="ECDSA"):
        load_key(tmp_path / "a")
    save_key(new_key(), tmp_path / "b")
    with pytest.raises(InputError, match="Ed25519"):
        load_signing_key(tmp_path / "b")


def test_a_file_is_replaced_whole_and_its_mode_holds(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_survives_its_text(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    assert parse_public_key(public_key_text(key) + "\n") == key


def test_what_is_no_key_is_said_so() -> None:
    for text in ("", "AAAA", "not base64 at all"):
        with pytest.raises(RemoteProtocolError, match="Ed25519"):
            parse_public_key(text)


def test_a_token_survives_its_text_and_hides_its_secret() -> None:
    token = new_enrolment_token(AUTHORITY.certificate)
    assert parse_enrolment_token(f" {token}\n") == token
    assert token.secret not in repr(token)
    assert check_pinned(AUTHORITY.certificate_pem, token) == AUTHORITY.certificate
    with pytest.raises(RemoteProtocolError, match="another authority"):
        check_pinned(new_authority("other", NOW).certificate_pem, token)


@given(st.text(max_size=200))
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_enrolment_token(text)
    assert len(text) < 12 or text not in str(raised.value)


def test_tls_is_1_3_and_needs_a_client_certificate_of_this_authority(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ours, theirs = new_authority("ours", now), new_authority("theirs", now)
    server = tmp_path / "server"
    server.mkdir()
    save_authority(ours, server)
    key = new_key()
    save_key(key, server / "server.key")
    pem = issue_server_certificate(ours, key.public_key(), ["localhost"], now)
    (server / "server.crt").write_text(pem)
    context = server_context(server / "server.crt", server / "server.key", server / "ca.crt")
    good = _client(tmp_path / "good", ours, ours, now)
    assert _handshake(context, good) == ("TLSv1.3", WHO)
    for bad in (
        _client(tmp_path / "forged", theirs, ours, now),
        _client(tmp_path / "expired", ours, ours, now - timedelta(days=8)),
        client_context(server / "ca.crt"),
        _client(tmp_path / "misled", ours, theirs, now),
    ):
        with pytest.raises(ssl.SSLError):
            _handshake(context, bad)


def _client(folder: Path, issuer: Authority, trusted: Authority, now: datetime) -> ssl.SSLContext:
    folder.mkdir()
    key = new_key()
    save_key(key, folder / "agent.key")
    pem = issue_agent_certificate(issuer, request_certificate(key), WHO, now)
    (folder / "agent.crt").write_text(pem)
    (folder / "ca.crt").write_text(trusted.certificate_pem)
    return client_context(folder / "ca.crt", folder / "agent.crt", folder / "agent.key")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str | None, AgentIdentity]:
    """Shake hands in memory; return the version and who the server believes to speak with."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].version(), parse_agent_identity(ends[1].getpeercert(binary_form=True) or b"")
