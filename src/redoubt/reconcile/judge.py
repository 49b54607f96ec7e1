"""One round of judging: every rule over one view."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from redoubt.model.finding import Observation, Subject, SubjectKind
from redoubt.model.status import MachineState
from redoubt.reconcile._round import CenterRound, SiteRound
from redoubt.reconcile._rule import CenterRule, MachineRule, Rule, SiteRule, Trouble, Verdict
from redoubt.reconcile.catalogue import LimitSet, all_rules
from redoubt.reconcile.crowd import crowd_subject, gather_crowds
from redoubt.reconcile.views import CenterView, MachineView, SiteView

_NO_LIMITS: LimitSet = MappingProxyType({})
_Kind = TypeVar("_Kind", bound=Rule)


class Judgement(msgspec.Struct, frozen=True):
    """What one round found, and what it could not tell.

    rules: the names of the rules that could tell something.
    unjudged: (rule, subject) pairs that a rule could not tell.
    blind: subjects of which no reading is at hand; `status_rules` were not asked about them.
    """

    observations: tuple[Observation, ...]
    rules: frozenset[str]
    unjudged: frozenset[tuple[str, Subject]] = frozenset()
    blind: frozenset[Subject] = frozenset()
    status_rules: frozenset[str] = frozenset()

    def is_judged(self, rule: str, subject: Subject) -> bool:
        """Whether the rule said something about the subject, if only that nothing is the matter.

        A subject that is no longer in the view is judged: there is nothing the matter with what
        is gone.
        """
        if rule not in self.rules or (rule, subject) in self.unjudged:
            return False
        return not (rule in self.status_rules and subject in self.blind)


def judge_site(view: SiteView, now: datetime, limits: LimitSet = _NO_LIMITS) -> Judgement:
    """Ask every machine rule and every site rule about one site at the moment `now`."""
    around = SiteRound(view, now)
    found = _Found()
    machine_rules, site_rules = _rules_of(MachineRule), _rules_of(SiteRule)
    blind = _judge_machines(view.machines, around, machine_rules, limits, found)
    _join_crowds(machine_rules, around, len(blind), found)
    asked = {rule.name for rule in machine_rules}
    for rule in site_rules:
        verdicts = rule.judge(view, around, _limits_of(rule, limits))
        if verdicts is None:
            continue
        asked.add(rule.name)
        for subject, verdict in verdicts:
            found.add(rule.name, subject, verdict)
    return Judgement(
        observations=tuple(found.observations),
        rules=frozenset(asked),
        unjudged=frozenset(found.unjudged),
        blind=blind,
        status_rules=frozenset(rule.name for rule in machine_rules if rule.reads_status),
    )


def judge_center(view: CenterView, now: datetime, limits: LimitSet = _NO_LIMITS) -> Judgement:
    """Ask every center rule about one organisation at the moment `now`."""
    around = CenterRound(now)
    found = _Found()
    center_rules = _rules_of(CenterRule)
    for rule in center_rules:
        for subject, verdict in rule.judge(view, around, _limits_of(rule, limits)):
            found.add(rule.name, subject, verdict)
    return Judgement(
        observations=tuple(found.observations),
        rules=frozenset(rule.name for rule in center_rules),
        unjudged=frozenset(found.unjudged),
    )


class _Found:
    """What the rules have said so far in this round."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.unjudged: set[tuple[str, Subject]] = set()

    def add(self, rule: str, subject: Subject, verdict: Verdict) -> None:
        match verdict:
            case None:
                pass
            case Trouble():
                self.observations.append(_observation(rule, subject, verdict))
            case _:
                self.unjudged.add((rule, subject))

    def hide(self, rule: str) -> None:
        """Take back a rule's observations, as if it could not tell."""
        self.unjudged.update(
            (rule, observation.subject)
            for observation in self.observations
            if observation.rule == rule
        )
        self.observations = [one for one in self.observations if one.rule != rule]


def _judge_machines(
    machines: Iterable[MachineView],
    around: SiteRound,
    rules: Iterable[MachineRule],
    limits: LimitSet,
    found: _Found,
) -> frozenset[Subject]:
    """Ask machine rules about each machine; return those of which there is no reading.

    This is the agent's hot path: a thousand machines times twenty rules, every few seconds.
    """
    asked = [(rule.name, rule.judge, _limits_of(rule, limits)) for rule in rules]
    always = [entry for entry, rule in zip(asked, rules, strict=True) if not rule.reads_status]
    blind: list[Subject] = []
    for machine in machines:
        can_see = has_reading(machine)
        if not can_see:
            blind.append(Subject(SubjectKind.MACHINE, machine.machine))
        for name, judge, own in asked if can_see else always:
            verdict = judge(machine, around, own)
            if verdict is not None:
                found.add(name, Subject(SubjectKind.MACHINE, machine.machine), verdict)
    return frozenset(blind)


def _join_crowds(
    rules: Iterable[MachineRule], around: SiteRound, blind: int, found: _Found
) -> None:
    """Put one observation of the site in the place of many of machines.

    Findings of single machines that are open already stay: their machines count as not judged.
    """
    subject = crowd_subject(around)
    for name, crowd in gather_crowds(rules, found.observations, around, blind).items():
        if isinstance(crowd, Trouble):
            found.hide(name)
        found.add(name, subject, crowd)


def has_reading(machine: MachineView) -> bool:
    """Whether the last poll of the machine was answered, so that its status is of now."""
    status = machine.status
    return (
        status is not None
        and status.state is not MachineState.OFFLINE
        and status.state is not MachineState.STALE
    )


def _observation(rule: str, subject: Subject, trouble: Trouble) -> Observation:
    return Observation(
        rule=rule,
        subject=subject,
        severity=trouble.severity,
        title=trouble.title,
        cause=trouble.cause,
        evidence=trouble.evidence,
        confidence=trouble.confidence,
        since=trouble.since,
    )


def _rules_of(kind: type[_Kind]) -> list[_Kind]:
    return [rule for rule in all_rules().values() if isinstance(rule, kind)]


def _limits_of(rule: Rule, limits: LimitSet) -> Any:
    return limits.get(rule.name, rule.limits)
