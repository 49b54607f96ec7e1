"""Who may do what, how secrets are kept, and how often one may guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.access.guessing import Allowance, GuessLimit
from redoubt.access.password import check_email, check_name, check_password
from redoubt.access.principal import (
    ROLE_SCOPES,
    Principal,
    PrincipalKind,
    Scope,
    allowed_scopes,
    parse_scopes,
)
from redoubt.access.secret import (
    Purpose,
    csrf_token,
    format_api_token,
    hash_secret,
    is_csrf_token,
    is_secret,
    parse_api_token,
    secret_text,
)
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId
from redoubt.model.register import Role

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def principal(role: Role) -> Principal:
    return Principal(
        kind=PrincipalKind.USER,
        id="u-1",
        organisation=OrganisationId("acme"),
        name="Anna",
        role=role,
        scopes=ROLE_SCOPES[role],
    )


def test_each_role_may_do_all_that_the_one_before_may() -> None:
    viewer, operator, admin = (ROLE_SCOPES[role] for role in Role)
    assert viewer < operator < admin == frozenset(Scope)


def test_a_token_never_gets_more_than_its_maker_has() -> None:
    assert allowed_scopes(frozenset({Scope.READ}), principal(Role.VIEWER)) == {Scope.READ}
    with pytest.raises(InputError, match="register:write"):
        allowed_scopes(frozenset({Scope.REGISTER_WRITE}), principal(Role.OPERATOR))


@pytest.mark.parametrize("words", [[], ["root"], ["read", ""]])
def test_scopes_that_are_none_are_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="expected"):
        parse_scopes(words)


@given(raw=st.binary(min_size=32, max_size=32))
def test_a_secret_travels_as_text_and_comes_back(raw: bytes) -> None:
    secret = secret_text(raw)
    assert is_secret(secret)
    assert parse_api_token(format_api_token(secret)) == secret


@given(text=st.text(max_size=80))
def test_what_is_no_token_is_none(text: str) -> None:
    assert parse_api_token(text) is None


def test_a_secret_of_one_kind_is_worth_nothing_as_another() -> None:
    secret = secret_text(bytes(32))
    hashes = {hash_secret(purpose, secret) for purpose in Purpose}
    assert len(hashes) == len(Purpose)
    assert all(secret not in stored for stored in hashes)


def test_a_csrf_token_is_of_its_session_alone() -> None:
    one, other = secret_text(bytes(32)), secret_text(b"x" * 32)
    assert is_csrf_token(one, csrf_token(one))
    assert not is_csrf_token(one, csrf_token(other))
    assert not is_csrf_token(one, "")
    assert not is_csrf_token(one, "ü")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 12"),
        ("x" * 300, "at most 256"),
        ("aaaaaaaaaaaaaaaa", "different"),
        ("password1234", "overused"),
        ("anna@example.org1", "your e-mail"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        check_password(password, "anna@example.org")
    assert password not in str(raised.value)


def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    composed = check_password("sch\u00f6ne gr\u00fcne wiese", "a@b")
    assert composed == check_password("scho\u0308ne gru\u0308ne wiese", "a@b")


@pytest.mark.parametrize(
    "text", ["", "anna", "@b", "a@", "a@b@c", "a b@c", "a\n@b", "a" * 251 + "@b.c"]
)
def test_what_is_no_email_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="e-mail"):
        check_email(text)


def test_email_addresses_are_one_spelling() -> None:
    assert check_email("  Anna@Example.ORG ") == "anna@example.org"


@pytest.mark.parametrize("text", ["", "  ", "x" * 101, "a\x00b", "a\nb"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="name"):
        check_name(text)


ALLOWANCE = Allowance(burst=3, refill_s=10.0)


def test_after_a_burst_one_waits_and_then_may_try_once() -> None:
    limit = GuessLimit(ALLOWANCE)
    assert [limit.attempt("a", NOW) for _ in range(4)] == [0.0, 0.0, 0.0, 10.0]
    assert limit.attempt("b", NOW) == 0.0
    later = NOW + timedelta(seconds=10)
    assert limit.attempt("a", later) == 0.0
    assert limit.attempt("a", later) > 0


def test_who_was_right_is_not_charged() -> None:
    limit = GuessLimit(ALLOWANCE)
    for _ in range(50):
        assert limit.attempt("a", NOW) == 0.0
        limit.refund("a", NOW)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limit = GuessLimit(ALLOWANCE)
    for _ in range(3):
        limit.attempt("a", NOW)
    assert limit.attempt("a", NOW - timedelta(days=1)) > 0


@given(
    gaps=st.lists(st.floats(0, 30), max_size=80),
)
def test_no_pattern_of_attempts_gets_more_than_burst_and_refill(gaps: list[float]) -> None:
    limit, now, let_in = GuessLimit(ALLOWANCE), NOW, 0
    for gap in gaps:
        now += timedelta(seconds=gap)
        let_in += limit.attempt("a", now) == 0.0
    assert let_in <= ALLOWANCE.burst + (now - NOW).total_seconds() / ALLOWANCE.refill_s + 1e-6


def test_buckets_are_bounded_and_the_longest_untouched_goes() -> None:
    limit = GuessLimit(Allowance(burst=1, refill_s=1e9), max_keys=10)
    for number in range(20):
        assert limit.attempt(str(number), NOW) == 0.0
    assert limit.attempt("19", NOW) > 0
    assert limit.attempt("0", NOW) == 0.0
