"""Every table knows its organisation, and no statement runs without saying whose it is."""

from __future__ import annotations

import sqlite3
import threading
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from redoubt.edge.records import Records, open_records, tables
from redoubt.edge.records.engine import open_engine, reading, scoped, transaction
from redoubt.edge.records.migrate import upgrade
from redoubt.model.errors import InputError, ServiceError
from tests.edge.records.conftest import ACME, NOW, ZETA


def test_every_table_has_its_organisation_first_in_its_key() -> None:
    for table in tables.metadata.sorted_tables:
        assert next(iter(table.primary_key.columns)).name == "organisation", table.name


def test_migrations_make_exactly_the_tables_that_the_code_expects(url: str) -> None:
    upgrade(url)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_upgrading_twice_changes_nothing(url: str) -> None:
    upgrade(url)
    upgrade(url)


def test_records_of_a_newer_program_are_refused_with_a_way_out(url: str, tmp_path: Path) -> None:
    upgrade(url)
    with sqlite3.connect(tmp_path / "records.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InputError, match="newer Redoubt"):
        open_records(url)


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ServiceError, match="not a database"):
        open_records(f"sqlite:///{tmp_path}/records.sqlite")


def test_a_statement_that_names_no_organisation_never_runs(records: Records, url: str) -> None:
    engine = open_engine(url)
    with reading(engine) as connection, pytest.raises(AssertionError, match="scoped"):
        connection.execute(sa.select(tables.users))
    engine.dispose()


def test_scoped_statements_touch_one_organisation_alone(records: Records, url: str) -> None:
    engine = open_engine(url)
    with transaction(engine) as connection:
        for organisation in (ACME, ZETA):
            connection.execute(scoped(organisation).insert(tables.owners, id="o", name="before"))
        connection.execute(scoped(ACME).update(tables.owners, name="after"))
        rows = connection.execute(scoped(ZETA).select(tables.owners)).all()
        assert [row.name for row in rows] == ["before"]
        connection.execute(scoped(ACME).delete(tables.owners))
        assert connection.execute(scoped(ACME).select(tables.owners)).all() == []
        assert len(connection.execute(scoped(ZETA).select(tables.owners)).all()) == 1
    engine.dispose()


def test_an_insert_cannot_name_another_organisation(records: Records) -> None:
    with pytest.raises(TypeError):
        scoped(ACME).insert(tables.owners, organisation=ZETA, id="o", name="n")


def test_moments_are_kept_to_the_microsecond_and_aware(records: Records) -> None:
    exact = NOW.replace(microsecond=123457)
    moment = tables.Moment()
    dialect = sa.create_engine("sqlite://").dialect
    stored = moment.process_bind_param(exact, dialect)
    assert moment.process_result_value(stored, dialect) == exact


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_page_could_show_is_kept_as_the_nearest_that_it_can(text: str) -> None:
    moment, dialect = tables.Moment(), sa.create_engine("sqlite://").dialect
    stored = moment.process_bind_param(datetime.fromisoformat(text), dialect)
    for number in (stored, -(2**63), 2**63 - 1):
        kept = moment.process_result_value(number, dialect)
        assert kept is not None
        assert 1970 <= kept.year <= 9998


def test_two_writers_wait_for_each_other(records: Records) -> None:
    """Every transaction takes the write lock when it begins, so none fails half way."""
    failures: list[Exception] = []

    def change(number: int) -> None:
        try:
            for _ in range(10):
                register = records.register.load(ACME)
                records.register.save(register, f"w{number}", NOW)
        except InputError:
            pass  # Somebody else was first: that is an answer.
        except ServiceError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
