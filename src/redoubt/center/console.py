"""What the command line does to a center's records, beside a running center or without one.

Whoever may read DIR may do all this: it is as good as the keys that lie there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from redoubt.access.password import check_name
from redoubt.access.principal import parse_scopes
from redoubt.center.api_tokens import make_api_token
from redoubt.center.context import utc_now
from redoubt.center.folder import CenterFolder
from redoubt.center.links import make_link
from redoubt.center.register_import import ImportReport, import_files, preview_files
from redoubt.center.settings import load_settings
from redoubt.center.site_tokens import make_enrolment_token
from redoubt.edge.records import Records, open_records
from redoubt.edge.records.agents import Agent
from redoubt.edge.records.audit import AuditEntry
from redoubt.edge.records.sessions import LinkPurpose
from redoubt.model.errors import InputError
from redoubt.model.ids import OrganisationId, SiteId, UserId, check_id
from redoubt.model.register import Organisation, OrganisationKind, Register, Site
from redoubt.model.register.changes import FileText

WHO = "console"


class SiteToken(msgspec.Struct, frozen=True):
    token: str
    is_new_site: bool


@contextmanager
def _records(folder: Path) -> Iterator[Records]:
    """Raises InputError where `folder` is no center."""
    load_settings(folder)
    records = open_records(CenterFolder(folder).records_url)
    try:
        yield records
    finally:
        records.close()


def _organisation(records: Records, wanted: str | None) -> OrganisationId:
    known = [organisation.id for organisation in records.people.organisations()]
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise InputError(f"no organisation {wanted[:64]!r}: expected one of {', '.join(known)}")
    return OrganisationId(wanted)


def console_link(
    folder: Path, organisation: str | None, email: str | None, *, sign_in: bool
) -> str:
    """Return the path of a new one-time link: for a new admin, or for the user with `email`."""
    with _records(folder) as records:
        scope = _organisation(records, organisation)
        user = None if email is None else _user(records, scope, email)
        if sign_in and user is None:
            raise InputError("--sign-in needs the --email of who is to be signed in")
        purpose = LinkPurpose.SIGN_IN if sign_in else LinkPurpose.SETUP
        now = utc_now()
        whom = f"user:{user}" if user else "new admin"
        records.audit.add(scope, AuditEntry(at=now, who=WHO, action="user.link", object=whom))
        return make_link(records, scope, now, purpose=purpose, user=user)


def console_site_token(
    folder: Path, organisation: str | None, site: str, *, name: str | None, virtual: bool
) -> SiteToken:
    """Return an enrolment token for `site`, which with a `name` is registered first if it is new.

    Raises InputError where the site is not registered and no name is given.
    """
    wanted = SiteId(check_id(site, "SITE"))
    with _records(folder) as records:
        scope, now = _organisation(records, organisation), utc_now()
        register = records.register.load(scope)
        is_new = all(known.id != wanted for known in register.sites)
        if is_new:
            if name is None:
                known_sites = ", ".join(known.id for known in register.sites) or "none yet"
                raise InputError(
                    f"no site {site!r} is registered (there are: {known_sites}): import it with "
                    "the register, or give --name to register it now"
                )
            added = Site(id=wanted, name=check_name(name, "--name"), virtual=virtual)
            sites = tuple(sorted((*register.sites, added), key=lambda known: known.id))
            records.register.save(msgspec.structs.replace(register, sites=sites), WHO, now)
        authority = CenterFolder(folder).authority().certificate
        token = make_enrolment_token(records, authority, scope, wanted, WHO, now)
        entry = AuditEntry(at=now, who=WHO, action="enrolment.add", object=f"site:{wanted}")
        records.audit.add(scope, entry)
        return SiteToken(token, is_new)


def console_api_token(
    folder: Path, organisation: str | None, name: str, scopes: Sequence[str], days: int
) -> str:
    """Return the text of a new API token with these scopes."""
    wanted = parse_scopes(scopes)
    with _records(folder) as records:
        scope, now = _organisation(records, organisation), utc_now()
        token, text = make_api_token(records, scope, name, wanted, WHO, days, now)
        words = f"{token.name}: {' '.join(token.scopes)}"
        entry = AuditEntry(
            at=now, who=WHO, action="token.add", object=f"token:{token.id}", text=words
        )
        records.audit.add(scope, entry)
        return text


def console_agents(folder: Path, organisation: str | None) -> tuple[Agent, ...]:
    """Return every agent that enrolled."""
    with _records(folder) as records:
        return records.agents.list(_organisation(records, organisation))


def console_revoke_agent(folder: Path, organisation: str | None, site: str, agent: str) -> None:
    """Shut an agent out for good. Raises InputError where there is none."""
    with _records(folder) as records:
        scope, now = _organisation(records, organisation), utc_now()
        records.agents.revoke(scope, SiteId(site), agent, now)
        entry = AuditEntry(at=now, who=WHO, action="agent.revoke", object=f"agent:{agent}")
        records.audit.add(scope, entry)


def console_add_organisation(folder: Path, identifier: str, name: str, *, is_client: bool) -> str:
    """Add an organisation and return the path of a one-time link for its first admin."""
    added = Organisation(
        OrganisationId(check_id(identifier, "ID")),
        check_name(name, "--name"),
        OrganisationKind.CLIENT if is_client else OrganisationKind.OPERATOR,
    )
    with _records(folder) as records:
        now = utc_now()
        records.people.add_organisation(added, now)
        entry = AuditEntry(at=now, who=WHO, action="organisation.add", object=added.id)
        records.audit.add(added.id, entry)
        return make_link(records, added.id, now)


def console_register(folder: Path, organisation: str | None) -> Register:
    with _records(folder) as records:
        return records.register.load(_organisation(records, organisation))


def console_preview(
    folder: Path, organisation: str | None, files: Sequence[FileText]
) -> ImportReport:
    """Return what an import would do."""
    with _records(folder) as records:
        return preview_files(records, _organisation(records, organisation), files)


def console_import(
    folder: Path, organisation: str | None, files: Sequence[FileText]
) -> ImportReport:
    """Import files as one change, or on any problem not at all."""
    with _records(folder) as records:
        scope = _organisation(records, organisation)
        return import_files(records, scope, files, WHO, utc_now())


def _user(records: Records, organisation: OrganisationId, email: str) -> UserId:
    for person in records.people.list(organisation):
        if person.email == email.strip().lower():
            return person.id
    raise InputError(f"no user with the e-mail address {email[:80]!r} here")
