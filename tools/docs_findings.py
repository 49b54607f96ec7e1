"""Writes docs/findings.md from the rules themselves: python -m tools.docs_findings

A test compares the page with the rules, so it cannot fall behind.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from redoubt.model.units import format_duration
from redoubt.reconcile import all_rules
from redoubt.reconcile._rule import CenterRule, MachineRule, Rule, SiteRule
from redoubt.reconcile.book import UPDATE_INTERVAL

PAGE = Path(__file__).resolve().parents[1] / "docs" / "findings.md"

_INTRODUCTION = """\
# Findings

A finding is a difference between two books, or between a book and the register, that somebody
should look at: what a machine claims, what the agent saw, what the register allows. There is one
finding per rule and subject at a time. Whoever sees the evidence opens it, keeps it up to date and
resolves it: the site's agent for what can be seen there, also while its link is down; the center
for what only it can know. People acknowledge findings and annotate them; they do not resolve them.

*This page is written from the rules by `python -m tools.docs_findings`; a test compares them.*

## The life of a finding

- A trouble that lasts without a break for the rule's **hold-on** opens a finding. Its beginning is
  when the trouble began, which is earlier than when it was said.
- A rise in severity is said at once. Anything else that changes is said at most every {interval},
  and only where it means something: another cause, or a value that moved beyond its tolerance (10 %
  of a measure, 3 °C, 500 rpm). Ages and times alone are no news.
- Once the trouble is gone for the rule's **hold-off**, the finding is resolved. What cannot be
  judged stays as it is: a hot machine that no longer answers is not taken for a cool one.
- A finding that comes back is opened again, with its own time.
- A restart changes nothing: the agent keeps its open findings beside its spool.

Severity says how soon somebody should look: **critical** now, **high** today, **medium** this week,
**low** when there is time, **info** is for reading.

## Limits of your own

A site's `site.toml` may change a rule's limits; what is not named keeps its default:

```toml
[limits.machine_offline]
misses = 5
```

An unknown rule or limit is refused when the agent starts, all of them at once.
"""

_PARTS: tuple[tuple[type[Rule], str, str], ...] = (
    (MachineRule, "Machines", "Judged by the site's agent, machine by machine, every few seconds."),
    (SiteRule, "Racks, sites and agents", "Judged by the site's agent over all that it sees."),
    (CenterRule, "The center", "Judged by the center; a site cannot speak by these rules."),
)


def findings_page() -> str:
    """Return the page as it should be."""
    parts = [_INTRODUCTION.format(interval=format_duration(UPDATE_INTERVAL.total_seconds()))]
    for kind, title, text in _PARTS:
        rules = [rule for rule in all_rules().values() if isinstance(rule, kind)]
        parts.append(f"## {title}\n\n{text}\n\n" + _overview(rules))
        parts.extend(_section(rule) for rule in rules)
    return "\n".join(parts)


def _overview(rules: list[Rule]) -> str:
    rows = [f"| [{rule.name}](#{rule.name}) | {rule.severity} | {rule.about} |" for rule in rules]
    return "\n".join(["| rule | at most | speaks when |", "| --- | --- | --- |", *rows, ""])


def _section(rule: Rule) -> str:
    lines = [
        f"### {rule.name}",
        "",
        rule.about,
        "",
        f"- severity: at most {rule.severity}",
        f"- hold-on {_span(rule.hold_on)}, hold-off {_span(rule.hold_off)}",
        f"- evidence: {rule.gives}",
    ]
    if isinstance(rule, MachineRule) and rule.crowd:
        lines.append(
            f"- of more than {rule.crowd} machines at once it speaks once for the site: "
            f"*… machines {rule.crowd_words}*"
        )
    rows = [f"| `{name}` | {value} |" for name, value in _limits(rule.limits)]
    if rows:
        words = " ".join(textwrap.dedent(type(rule.limits).__doc__ or "").split())
        lines += ["", words, "", "| limit | default |", "| --- | --- |", *rows]
    return "\n".join([*lines, ""])


def _limits(limits: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(limits):
        value = getattr(limits, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _limits(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", str(value)


def _span(span: timedelta) -> str:
    return format_duration(span.total_seconds()) if span else "none"


if __name__ == "__main__":
    PAGE.write_text(findings_page(), encoding="utf-8")
