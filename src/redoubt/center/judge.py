"""What only the center can know, judged for each organisation: dark sites, conflicts, its disk."""

from __future__ import annotations

import asyncio
import logging
import shutil
from datetime import datetime, timedelta

from redoubt.center.agent_port import Contacts
from redoubt.center.context import Center
from redoubt.center.trouble import Trouble
from redoubt.edge.keys import AgentIdentity
from redoubt.edge.records.agents import Agent
from redoubt.model.errors import RedoubtError
from redoubt.model.finding import FindingEvent, SubjectKind
from redoubt.model.ids import OrganisationId, SiteId
from redoubt.reconcile import (
    AgentSeen,
    BatchAside,
    BatchConflict,
    BookState,
    CenterView,
    DiskView,
    FindingBook,
    center_rules,
    judge_center,
)
from redoubt.reconcile.book import OpenState

LOG = logging.getLogger(__name__)

EVERY_S = 10.0
GRACE = timedelta(minutes=2)
"""A center that was away itself gives sites this time to come back before it judges anything."""
NOTE_CONTACTS = timedelta(minutes=1)


class CenterJudge:
    """Run `run` as a task; `judge_once` is one round."""

    def __init__(self, center: Center, contacts: Contacts) -> None:
        self._center = center
        self._contacts = contacts
        self._started_at = center.clock()
        self._noted_at = self._started_at
        self._books: dict[OrganisationId, FindingBook] = {}
        self._round = Trouble(LOG, "judging what only the center knows")
        self._troubles: dict[OrganisationId, Trouble] = {}

    async def run(self) -> None:
        """Judge every EVERY_S seconds until cancelled. What fails is tried again, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.judge_once()
            except RedoubtError as exc:
                self._round.met(exc)
            else:
                self._round.over()

    async def judge_once(self) -> None:
        """One round over every organisation; the first of them answers for the center's disk.

        One that cannot be judged keeps none behind it from being. Raises ServiceError where the
        records fail before the first.
        """
        now = self._center.clock()
        await self._note_contacts(now)
        if now - self._started_at < GRACE:
            return
        organisations = await asyncio.to_thread(self._center.records.people.organisations)
        for number, organisation in enumerate(organisations):
            trouble = self._troubles.setdefault(
                organisation.id, Trouble(LOG, f"judging organisation {organisation.id}")
            )
            try:
                await self._judge(organisation.id, now, with_disk=number == 0)
            except RedoubtError as exc:
                # The book may know more by now than was written down.
                self._books.pop(organisation.id, None)
                trouble.met(exc)
            else:
                trouble.over()

    async def _judge(self, organisation: OrganisationId, now: datetime, *, with_disk: bool) -> None:
        records = self._center.records
        agents = await asyncio.to_thread(records.agents.list, organisation)
        view = CenterView(
            organisation=organisation,
            agents=tuple(self._seen(agent) for agent in agents),
            conflicts=await self._conflicts(organisation),
            asides=await self._asides(organisation),
            disk=self._disk() if with_disk else None,
        )
        judgement = judge_center(view, now)
        book = self._books.get(organisation)
        if book is None:
            book = await asyncio.to_thread(self._restore, organisation, now)
            self._books[organisation] = book
        site_of = {agent.agent: agent.site for agent in agents}
        for event in book.apply(judgement, now):
            await asyncio.to_thread(
                records.findings.apply_events, organisation, _site(event, site_of), [event]
            )

    def _seen(self, agent: Agent) -> AgentSeen:
        identity = AgentIdentity(agent.organisation, agent.site, agent.agent)
        let_in = self._contacts.let_in.get(identity, agent.last_contact_at)
        knocked_at, knock_address = self._contacts.turned_away.get(identity, (None, ""))
        return AgentSeen(
            agent=agent.agent,
            site=agent.site,
            enrolled_at=agent.enrolled_at,
            last_contact_at=let_in,
            certificate_expires_at=agent.expires_at,
            revoked_at=agent.revoked_at,
            knocked_at=knocked_at,
            knock_address=knock_address,
        )

    async def _asides(self, organisation: OrganisationId) -> tuple[BatchAside, ...]:
        return tuple(
            BatchAside(agent=aside.agent, at=aside.at, why=aside.why)
            for aside in await self._center.inbox.asides()
            if aside.organisation == organisation
        )

    async def _conflicts(self, organisation: OrganisationId) -> tuple[BatchConflict, ...]:
        return tuple(
            BatchConflict(
                agent=conflict.agent, epoch=conflict.epoch, seq=conflict.seq, at=conflict.at
            )
            for conflict in await self._center.inbox.conflicts()
            if conflict.organisation == organisation
        )

    def _disk(self) -> DiskView:
        usage = shutil.disk_usage(self._center.folder.root)
        return DiskView(free_bytes=usage.free, total_bytes=usage.total)

    def _restore(self, organisation: OrganisationId, now: datetime) -> FindingBook:
        """Go on with the findings that the center itself had open when it stopped."""
        rules = center_rules()
        found = self._center.records.findings.open(organisation)
        return FindingBook.restore(
            BookState(
                open=tuple(
                    OpenState(finding, said_at=now) for finding in found if finding.rule in rules
                )
            )
        )

    async def _note_contacts(self, now: datetime) -> None:
        """Write contacts down now and then, so that a restart knows when a site was last here."""
        if now - self._noted_at < NOTE_CONTACTS:
            return
        self._noted_at = now
        by_organisation: dict[OrganisationId, dict[tuple[SiteId, str], datetime]] = {}
        for identity, at in self._contacts.let_in.items():
            contacts = by_organisation.setdefault(identity.organisation, {})
            contacts[identity.site, identity.agent] = at
        for organisation, contacts in by_organisation.items():
            await asyncio.to_thread(
                self._center.records.agents.note_contacts, organisation, contacts
            )


def _site(event: FindingEvent, site_of: dict[str, SiteId]) -> SiteId:
    """Return the site that a finding of the center is shown at; "" for the center itself."""
    subject = event.finding.subject
    match subject.kind:
        case SubjectKind.SITE:
            return SiteId(subject.id)
        case SubjectKind.AGENT:
            return site_of.get(subject.id, SiteId(""))
        case _:
            return SiteId("")
