"""The records' tables. Every one has `organisation` as the first part of its key.

Portable types only: the same definitions run on SQLite and PostgreSQL. Migrations are written by
hand beside this; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_MICROSECOND = (_LAST - _EPOCH) // _MICROSECOND
_FINDING_KEY = ("organisation", "site", "rule", "subject_kind", "subject_id")


class Moment(sa.TypeDecorator[datetime]):
    """An aware UTC datetime as whole microseconds: exact, and it sorts alike in every database.

    What lies outside 1970 to 9998 is kept as the nearest of these: no time that is in the records
    can be one that a zone's shift or a page's sum makes overflow.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else (_clamp(value) - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return _EPOCH + min(max(value, 0), _LAST_MICROSECOND) * _MICROSECOND


def _clamp(at: datetime) -> datetime:
    return min(max(at, _EPOCH), _LAST)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    organisation = sa.Column("organisation", sa.String(64), primary_key=True)
    return sa.Table(name, metadata, organisation, *columns)


def _id(name: str = "id") -> sa.Column[str]:
    return sa.Column(name, sa.String(64), primary_key=True)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _moment(name: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Moment, nullable=null)


def _number(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=True)


organisations = _table("organisations", _text("name"), _text("kind"), _moment("created_at"))

# People, sessions and secrets. Secrets are hashes only.
users = _table(
    "users",
    _id(),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    _text("name"),
    _text("password_hash", null=True),
    _moment("created_at"),
    _moment("disabled_at", null=True),
)
grants = _table("grants", _id("user"), _text("role"))
sessions = _table(
    "sessions",
    _id("session_hash"),
    _text("user"),
    _moment("created_at"),
    _moment("seen_at"),
    _moment("expires_at"),
)
links = _table(
    "links",
    _id("link_hash"),
    _text("purpose"),
    _text("user", null=True),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", null=True),
)
api_tokens = _table(
    "api_tokens",
    _id(),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    _text("name"),
    _text("scopes"),
    _text("made_by"),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", null=True),
    _moment("revoked_at", null=True),
)
enrolment_tokens = _table(
    "enrolment_tokens",
    _id("token_hash"),
    _text("site"),
    _text("made_by"),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", null=True),
)
agents = _table(
    "agents",
    _id("site"),
    _id("agent"),
    _text("key_fingerprint"),
    _text("certificate_serial"),
    _moment("enrolled_at"),
    _moment("renewed_at"),
    _moment("expires_at"),
    _moment("last_contact_at", null=True),
    _moment("revoked_at", null=True),
)

# The register: one row per noun, and a version that grows with each applied import.
register_versions = _table(
    "register_versions",
    sa.Column("version", sa.Integer, nullable=False),
    _moment("changed_at"),
    _text("changed_by"),
)
owners = _table("owners", _id(), _text("name"))
pools = _table("pools", _id(), _text("name"), _text("url"), _text("account"))
sites = _table(
    "sites",
    _id(),
    _text("name"),
    _text("country"),
    _number("latitude"),
    _number("longitude"),
    _number("allowance_w"),
    sa.Column("virtual", sa.Boolean, nullable=False),
)
buildings = _table("buildings", _id(), _text("site"), _text("name"))
racks = _table(
    "racks",
    _id(),
    _text("building"),
    _text("name"),
    sa.Column("levels", sa.Integer, nullable=False),
    sa.Column("positions", sa.Integer, nullable=False),
)
machines = _table(
    "machines",
    _id(),
    sa.Column("site", sa.String(64), nullable=False),
    _text("make"),
    _text("model"),
    _text("family", null=True),
    _text("rack", null=True),
    _text("slot", null=True),
    _text("address", null=True),
    _text("serial", null=True),
    _text("mac", null=True),
    _text("control_board_serial", null=True),
    _text("hashboard_serials"),
    _text("owner", null=True),
    _text("pool", null=True),
    _text("worker", null=True),
    _number("hashrate_nominal_hs"),
    _number("power_limit_w"),
    sa.Index("ix_machines_organisation_site", "organisation", "site"),
)

# What is known of machines and findings, so that a restart of the center forgets nothing.
machine_details = _table(
    "machine_details",
    _id("site"),
    _id("machine"),
    _moment("at"),
    sa.Column("detail", sa.LargeBinary, nullable=False),
)
findings = _table(
    "findings",
    _id(),
    sa.Column("site", sa.String(64), nullable=False),
    sa.Column("rule", sa.String(64), nullable=False),
    sa.Column("subject_kind", sa.String(16), nullable=False),
    sa.Column("subject_id", sa.String(255), nullable=False),
    _text("severity"),
    _text("title"),
    _text("cause"),
    _text("evidence"),
    sa.Column("confidence", sa.Double, nullable=False),
    _moment("began_at"),
    _moment("opened_at"),
    _moment("seen_at"),
    _moment("resolved_at", null=True),
    _text("acknowledged_by", null=True),
    _moment("acknowledged_at", null=True),
    _text("note", null=True),
    sa.Index("ix_findings_opened", "organisation", "opened_at"),
    sa.Index(
        "uq_findings_open",
        *_FINDING_KEY,
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    ),
    sa.Index("ix_findings_periods", *_FINDING_KEY, "opened_at"),
)
audit = _table(
    "audit",
    sa.Column("entry", sa.String(32), primary_key=True),
    _moment("at"),
    _text("who"),
    _text("action"),
    _text("object"),
    _text("text"),
    sa.Index("ix_audit_organisation_at", "organisation", "at"),
)
