"""Digest answers are those that RFC 7616 computes."""

from __future__ import annotations

import pytest

from redoubt.machines._digest import Challenge, authorization, parse_challenge

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
HEADER = (
    f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={{algorithm}}, '
    f'nonce="{NONCE}", opaque="{OPAQUE}"'
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_rfc(algorithm: str, response: str) -> None:
    challenge = parse_challenge(HEADER.format(algorithm=algorithm))
    assert challenge is not None
    header = authorization(
        challenge, "GET", "/dir/index.html", "Mufasa", "Circle of Life", count=1, cnonce=CNONCE
    )
    assert f'response="{response}"' in header
    assert "nc=00000001" in header
    assert f'opaque="{OPAQUE}"' in header


def test_a_server_without_qop_gets_the_older_answer() -> None:
    challenge = parse_challenge('Digest realm="antMiner Configuration", nonce="abc"')
    assert challenge == Challenge("antMiner Configuration", "abc", None, "MD5", has_qop=False)
    header = authorization(challenge, "GET", "/x", "root", "root", count=1, cnonce="c")
    assert "cnonce" not in header
    assert "nc=" not in header


@pytest.mark.parametrize(
    "header",
    [
        "",
        'Basic realm="x"',
        'Digest realm="x"',
        'Digest nonce="n", algorithm=MD5-sess',
        'Digest nonce="n", qop="auth-int"',
        "Digest " + "a" * 10_000,
        'Digest realm="a\nX-Evil: 1", nonce="n"',
        'Digest realm="a", nonce="n\r"',
        'Digest realm="a", nonce="n", opaque="\0"',
        'Digest realm="a", nonce="n", opaque="\x85"',
    ],
)
def test_what_cannot_be_answered_is_none(header: str) -> None:
    assert parse_challenge(header) is None
