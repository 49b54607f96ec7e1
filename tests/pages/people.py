"""Who signs in to the pages of a test or a bench."""

from __future__ import annotations

import re
from datetime import datetime

import aiohttp

from redoubt.center.passwords import hash_password
from redoubt.edge.records import Records
from redoubt.edge.records.people import Person
from redoubt.model.ids import OrganisationId, UserId
from redoubt.model.register import Organisation, Role

ORGANISATION = OrganisationId("acme")
OTHER = OrganisationId("other")
PEOPLE = {"operator": ORGANISATION, "other": OTHER}
EMAIL, PASSWORD = "operator@example.invalid", "correct horse battery staple"


def add_people(records: Records, now: datetime) -> None:
    """Add one operator here, and one in another organisation that has nothing."""
    records.people.add_organisation(Organisation(OTHER, "Other"), now)
    for number, (who, organisation) in enumerate(PEOPLE.items()):
        person = Person(
            id=UserId(f"u-{number}"),
            organisation=organisation,
            email=f"{who}@example.invalid",
            name="Kari Operator",
            role=Role.OPERATOR,
            created_at=now,
        )
        records.people.add(person, hash_password(PASSWORD))


async def sign_in(session: aiohttp.ClientSession, who: str = "operator") -> None:
    """Sign the session in as a browser does, by the form."""
    async with session.get("/sign-in") as form:
        found = re.search(r'name="csrf_token" value="([^"]+)"', await form.text())
        assert found is not None
        fields = {"csrf_token": found[1], "email": f"{who}@example.invalid", "password": PASSWORD}
    async with session.post("/sign-in", data=fields) as answer:
        assert answer.status == 200, answer.status
