"""Who signs in to the pages of a test or a bench."""

from __future__ import annotations

import re
from datetime import datetime

import aiohttp

from redoubt.center.passwords import hash_password
from redoubt.edge.records import Records
from redoubt.edge.records.people import Person
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Role

ORGANISATION = OrganisationId("acme")
EMAIL, PASSWORD = "operator@example.invalid", "correct horse battery staple"


def add_people(records: Records, now: datetime) -> None:
    """Add one operator."""
    person = Person(
        id=UserId("u-1"),
        organisation=ORGANISATION,
        email=EMAIL,
        name="Kari Operator",
        role=Role.OPERATOR,
        created_at=now,
    )
    records.people.add(person, hash_password(PASSWORD))


async def sign_in(session: aiohttp.ClientSession) -> None:
    """Sign the session in as a browser does, by the form."""
    async with session.get("/sign-in") as form:
        found = re.search(r'name="csrf_token" value="([^"]+)"', await form.text())
        assert found is not None
        fields = {"csrf_token": found[1], "email": EMAIL, "password": PASSWORD, "next": "/"}
    async with session.post("/sign-in", data=fields) as answer:
        assert answer.status == 200, answer.status
