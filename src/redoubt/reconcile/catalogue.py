"""Every rule there is, found by looking into `rules/`: adding a file adds the rule."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from redoubt.model.errors import InputError
from redoubt.reconcile import rules
from redoubt.reconcile._rule import CenterRule, Rule

LimitSet = Mapping[str, Any]
"""Limits by rule name, for rules whose defaults do not fit a site; from `parse_limits`."""


@cache
def all_rules() -> Mapping[str, Rule]:
    """Return every rule by its name, sorted by name. A rule's file is called as the rule is."""
    found: dict[str, Rule] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(rules.__path__)):
        if not name.startswith("_"):
            rule = import_module(f"{rules.__name__}.{name}").RULE
            found[rule.name] = rule
    return found


@cache
def center_rules() -> frozenset[str]:
    """Return the names of the rules that are the center's alone: no site may speak by them."""
    return frozenset(name for name, rule in all_rules().items() if isinstance(rule, CenterRule))


def parse_limits(tables: Mapping[str, Mapping[str, object]]) -> LimitSet:
    """Return a site's own limits from its configuration: {rule: {parameter: value}}.

    Raises InputError that names every rule and parameter that cannot be used, all at once.
    """
    limits: dict[str, Any] = {}
    problems: list[str] = []
    for name, table in tables.items():
        rule = all_rules().get(name)
        if rule is None:
            problems.append(f"no rule is called {name[:80]!r}")
            continue
        try:
            given = _merged(msgspec.to_builtins(rule.limits), table)
            limits[name] = msgspec.convert(given, type(rule.limits))
        except (msgspec.ValidationError, TypeError) as exc:
            problems.append(f"limits of rule {name!r}: {exc}")
    if problems:
        raise InputError("; ".join(problems))
    return limits


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with what is given put over them, table by table."""
    merged = dict(defaults)
    for name, value in given.items():
        under = merged.get(name)
        if isinstance(under, dict) and isinstance(value, Mapping):
            merged[name] = _merged(under, value)
        else:
            merged[name] = value
    return merged
