"""Bring the records' tables to the version that this program expects."""

from __future__ import annotations

from importlib import resources

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from redoubt.model.errors import InputError, ServiceError


def upgrade(url: str) -> None:
    """Run the migrations that are missing; none where the records are up to date.

    Raises InputError where the records were made by a newer Redoubt, ServiceError where the
    database refuses.
    """
    config = _config()
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            _refuse_newer(connection, config)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as exc:
        raise ServiceError(f"the records could not be brought up to date: {exc.orig}") from exc
    finally:
        engine.dispose()


def _refuse_newer(connection: sa.Connection, config: Config) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise InputError(
            f"the records are of a newer Redoubt (revision {current!r}): install that one, "
            "or restore a backup made before it"
        )


def _config() -> Config:
    config = Config()
    folder = resources.files("redoubt.edge.records") / "migrations"
    # "%" would be an interpolation to the configuration parser.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
