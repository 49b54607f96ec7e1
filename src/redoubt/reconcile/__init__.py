"""Book against book against register: what differs is an observation, and with time a finding.

Pure: a program fills a view, `judge_site` or `judge_center` asks every rule, and a `FindingBook`
turns observations into the life of findings (opened, updated, resolved). `SiteMemory` keeps what
rules need to know of the past and makes the site's view.

    memory.learn(machine, status)                       # after every poll
    judgement = judge_site(memory.view(...), now)       # every few seconds
    events = book.apply(judgement, now)                 # to the spool
    state = book.snapshot()                             # to the disk; FindingBook.restore(state)

A rule is one file in `rules/`; `_rule` has the shape. Start with `rules/fan_lost.py`.
"""

from redoubt.reconcile.book import BookState, FindingBook
from redoubt.reconcile.catalogue import LimitSet, all_rules, center_rules, parse_limits
from redoubt.reconcile.judge import Judgement, judge_center, judge_site
from redoubt.reconcile.memory import MachineMemory, MemoryState, SiteMemory
from redoubt.reconcile.views import (
    AgentSeen,
    AgentView,
    BatchAside,
    BatchConflict,
    CenterView,
    Change,
    DiskView,
    MachineView,
    ScanView,
    SiteView,
    SpoolView,
    StrangeAddress,
)

__all__ = [
    "AgentSeen",
    "AgentView",
    "BatchAside",
    "BatchConflict",
    "BookState",
    "CenterView",
    "Change",
    "DiskView",
    "FindingBook",
    "Judgement",
    "LimitSet",
    "MachineMemory",
    "MachineView",
    "MemoryState",
    "ScanView",
    "SiteMemory",
    "SiteView",
    "SpoolView",
    "StrangeAddress",
    "all_rules",
    "center_rules",
    "judge_center",
    "judge_site",
    "parse_limits",
]
