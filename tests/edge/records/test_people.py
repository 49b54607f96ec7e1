"""People, sessions, links, tokens and agents: who may come in, until when, and who no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from redoubt.access.principal import Scope
from redoubt.edge.records import Records
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.records.people import Person
from redoubt.edge.records.sessions import Link, LinkPurpose
from redoubt.edge.records.tokens import ApiToken, Enrolment
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId, UserId
from redoubt.model.register import Role
from tests.edge.records.conftest import ACME, NOW, ZETA

DAY, IDLE = timedelta(days=1), timedelta(hours=1)
SITE = SiteId("bunker")


def add_person(
    records: Records,
    user: str,
    role: Role = Role.ADMIN,
    organisation: OrganisationId = ACME,
    password_hash: str | None = "hash",
) -> UserId:
    person = Person(
        id=UserId(user),
        organisation=organisation,
        email=f"{user}@example.org",
        name=user.title(),
        role=role,
        created_at=NOW,
    )
    records.people.add(person, password_hash)
    return person.id


def test_an_email_address_signs_in_at_one_place(records: Records) -> None:
    add_person(records, "anna")
    with pytest.raises(InputError, match="cannot be used"):
        add_person(records, "anna", organisation=ZETA)
    assert records.people.credentials("anna@example.org") == (ACME, "anna", "hash")
    assert records.people.credentials("nobody@example.org") is None


def test_who_has_no_password_or_is_disabled_cannot_sign_in(records: Records) -> None:
    add_person(records, "anna")
    bo = add_person(records, "bo", password_hash=None)
    assert records.people.credentials("bo@example.org") is None
    records.people.set_password(ACME, bo, "new", end_sessions=True)
    assert records.people.credentials("bo@example.org") == (ACME, "bo", "new")
    records.people.disable(ACME, bo, NOW)
    assert records.people.credentials("bo@example.org") is None


def test_an_organisation_keeps_an_admin(records: Records) -> None:
    anna = add_person(records, "anna")
    add_person(records, "bo", Role.VIEWER)
    with pytest.raises(InputError, match="last admin"):
        records.people.set_role(ACME, anna, Role.VIEWER)
    with pytest.raises(InputError, match="last admin"):
        records.people.disable(ACME, anna, NOW)
    assert records.people.get(ACME, anna) is not None
    records.people.set_role(ACME, UserId("bo"), Role.ADMIN)
    records.people.set_role(ACME, anna, Role.OPERATOR)
    assert [person.role for person in records.people.list(ACME)] == [Role.OPERATOR, Role.ADMIN]


def test_people_of_another_organisation_are_unknown(records: Records) -> None:
    anna = add_person(records, "anna")
    assert records.people.get(ZETA, anna) is None
    assert records.people.list(ZETA) == ()
    with pytest.raises(InputError, match="no user"):
        records.people.set_role(ZETA, anna, Role.VIEWER)


def test_a_session_ends_by_time_by_idleness_and_by_word(records: Records) -> None:
    anna = add_person(records, "anna")
    records.sessions.open(ACME, anna, "s1", NOW, NOW + DAY)
    found = records.sessions.find("s1", NOW, IDLE)
    assert found is not None
    assert (found.user, found.role, found.organisation) == (anna, Role.ADMIN, ACME)
    assert records.sessions.find("s1", NOW + 2 * IDLE, IDLE) is None
    records.sessions.touch(ACME, "s1", NOW + IDLE)
    assert records.sessions.find("s1", NOW + 1.5 * IDLE, IDLE) is not None
    assert records.sessions.find("s1", NOW + DAY, 2 * DAY) is None
    records.sessions.end(ACME, "s1")
    assert records.sessions.find("s1", NOW, IDLE) is None


def test_sessions_of_who_is_disabled_or_has_a_new_password_are_over(records: Records) -> None:
    add_person(records, "anna")
    bo = add_person(records, "bo")
    records.sessions.open(ACME, bo, "s1", NOW, NOW + DAY)
    records.people.set_password(ACME, bo, "rehashed", end_sessions=False)
    assert records.sessions.find("s1", NOW, IDLE) is not None
    records.people.set_password(ACME, bo, "new", end_sessions=True)
    assert records.sessions.find("s1", NOW, IDLE) is None
    records.sessions.open(ACME, bo, "s2", NOW, NOW + DAY)
    records.people.disable(ACME, bo, NOW)
    assert records.sessions.find("s2", NOW, IDLE) is None


def link(user: UserId | None = None, purpose: LinkPurpose = LinkPurpose.SETUP) -> Link:
    return Link(
        organisation=ACME, purpose=purpose, user=user, created_at=NOW, expires_at=NOW + IDLE
    )


def test_a_link_works_once_and_in_time(records: Records) -> None:
    records.sessions.add_link(link(), "l1")
    assert records.sessions.find_link("l1", NOW) == link()
    assert records.sessions.use_link("l1", NOW + IDLE) is None
    assert records.sessions.use_link("l1", NOW) == link()
    assert records.sessions.use_link("l1", NOW) is None


def test_a_new_link_ends_the_unused_one_before_it(records: Records) -> None:
    records.sessions.add_link(link(), "l1")
    records.sessions.add_link(link(UserId("anna")), "l2")
    records.sessions.add_link(link(), "l3")
    assert [records.sessions.find_link(key, NOW) is None for key in ("l1", "l2", "l3")] == [
        True,
        False,
        False,
    ]


def token(identifier: str, made_by: str = "user:anna") -> ApiToken:
    return ApiToken(
        id=identifier,
        organisation=ACME,
        name="grafana",
        scopes=(Scope.METRICS, Scope.READ),
        made_by=made_by,
        created_at=NOW,
        expires_at=NOW + DAY,
    )


def test_a_token_works_until_it_expires_or_is_revoked(records: Records) -> None:
    records.tokens.add(token("t1"), "h1")
    assert records.tokens.find("h1", NOW) == token("t1")
    assert records.tokens.find("h1", NOW + DAY) is None
    with pytest.raises(InputError, match="no API token"):
        records.tokens.revoke(ZETA, "t1", NOW)
    records.tokens.touch(ACME, "t1", NOW)
    records.tokens.revoke(ACME, "t1", NOW)
    records.tokens.revoke(ACME, "t1", NOW + DAY)
    assert records.tokens.find("h1", NOW) is None
    (kept,) = records.tokens.list(ACME)
    assert (kept.revoked_at, kept.used_at) == (NOW, NOW)


def test_tokens_go_with_who_made_them(records: Records) -> None:
    records.tokens.add(token("t1"), "h1")
    records.tokens.add(token("t2", "user:bo"), "h2")
    enrolment = Enrolment(
        organisation=ACME, site=SITE, made_by="user:anna", created_at=NOW, expires_at=NOW + DAY
    )
    records.tokens.add_enrolment(enrolment, "e1")
    records.tokens.revoke_made_by(ACME, "user:anna", NOW)
    assert records.tokens.find("h1", NOW) is None
    assert records.tokens.find("h2", NOW) is not None
    assert records.tokens.find_enrolment("e1", NOW) is None


def test_an_enrolment_token_works_once_and_in_time(records: Records) -> None:
    enrolment = Enrolment(
        organisation=ACME, site=SITE, made_by="console", created_at=NOW, expires_at=NOW + DAY
    )
    records.tokens.add_enrolment(enrolment, "e1")
    assert records.tokens.find_enrolment("e1", NOW + DAY) is None
    assert records.tokens.use_enrolment("e1", NOW) == enrolment
    assert records.tokens.use_enrolment("e1", NOW) is None


def test_an_agent_is_let_in_until_it_is_revoked(records: Records) -> None:
    agent = Agent(
        organisation=ACME,
        site=SITE,
        agent="agent-1",
        key_fingerprint="k",
        certificate_serial="1",
        enrolled_at=NOW,
        renewed_at=NOW,
        expires_at=NOW + DAY,
    )
    assert records.agents.is_revoked(ACME, SITE, "agent-1")
    records.agents.add(agent)
    assert records.agents.list(ACME) == (agent,)
    assert not records.agents.is_revoked(ACME, SITE, "agent-1")
    assert records.agents.is_revoked(ZETA, SITE, "agent-1")
    records.agents.note_contacts(ACME, {(SITE, "agent-1"): NOW, (SITE, "gone"): NOW})
    facts = {"key_fingerprint": "k2", "certificate_serial": "2"}
    assert records.agents.renew(ACME, SITE, "agent-1", **facts, now=NOW, expires_at=NOW + 2 * DAY)
    records.agents.revoke(ACME, SITE, "agent-1", NOW)
    records.agents.revoke(ACME, SITE, "agent-1", NOW + DAY)
    assert not records.agents.renew(ACME, SITE, "agent-1", **facts, now=NOW, expires_at=NOW)
    known = records.agents.get(ACME, SITE, "agent-1")
    assert known is not None
    assert (known.revoked_at, known.last_contact_at, known.key_fingerprint) == (NOW, NOW, "k2")
    with pytest.raises(InputError, match="no agent"):
        records.agents.revoke(ZETA, SITE, "agent-1", NOW)


def test_the_audit_log_is_read_newest_first_by_pages(records: Records) -> None:
    for minute in range(5):
        entry = AuditEntry(
            at=NOW + timedelta(minutes=minute), who="console", action=f"a{minute}", object="o"
        )
        records.audit.add(ACME, entry)
        records.audit.add(ZETA, entry)
    page = records.audit.list(ACME, limit=2)
    assert [entry.action for entry in page] == ["a4", "a3"]
    page = records.audit.list(ACME, before=page[-1].at)
    assert [entry.action for entry in page] == ["a2", "a1", "a0"]
