"""Real SQLite records with two organisations in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from redoubt.edge.records import Records, open_records
from redoubt.model.ids import OrganisationId
from redoubt.model.register import Organisation

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME, ZETA = OrganisationId("acme"), OrganisationId("zeta")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/records.sqlite"


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = open_records(url)
    for organisation in (ACME, ZETA):
        opened.people.add_organisation(Organisation(organisation, organisation.title()), NOW)
    yield opened
    opened.close()
