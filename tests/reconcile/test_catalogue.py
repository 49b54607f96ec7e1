"""Rules are found by their files, are documented, and take a site's own limits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from redoubt.model.errors import InputError
from redoubt.model.finding import Severity
from redoubt.reconcile import all_rules, catalogue, judge_site, parse_limits, rules
from redoubt.reconcile._rule import CenterRule, MachineRule, SiteRule
from tests.reconcile.scenes import NOW, machine, silent, site

RULES_FOLDER = Path(rules.__file__).parent
NEW_RULE = """
from redoubt.model.finding import Severity
from redoubt.reconcile._rule import MachineRule

RULE = MachineRule(
    name="added", about="a", gives="b", severity=Severity.LOW, judge=lambda *_: None
)
"""


def test_every_file_is_one_rule_of_its_name() -> None:
    names = {path.stem for path in RULES_FOLDER.glob("*.py")} - {"__init__"}
    assert names == all_rules().keys()


def test_adding_a_file_adds_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "added.py").write_text(NEW_RULE, encoding="utf-8")
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    catalogue.all_rules.cache_clear()
    try:
        assert "added" in all_rules()
        judgement = judge_site(site(machine()), NOW)
        assert "added" in judgement.rules
    finally:
        catalogue.all_rules.cache_clear()


@pytest.mark.parametrize("name", list(all_rules()))
def test_a_rule_says_what_it_is_and_documents_its_limits(name: str) -> None:
    rule = all_rules()[name]
    assert isinstance(rule, MachineRule | SiteRule | CenterRule)
    assert rule.about.endswith(".")
    assert rule.gives
    assert isinstance(rule.severity, Severity)
    for field in msgspec.structs.fields(rule.limits):
        text = type(rule.limits).__doc__ or ""
        family = name == "machine_hot"
        mention = field.name.partition("_")[0] if name.endswith(("filling", "low")) else field.name
        assert family or mention in text, f"{name}: limit {field.name} is not documented"


class TestLimits:
    def test_a_site_may_set_its_own(self) -> None:
        limits = parse_limits({"machine_offline": {"misses": 5}})
        view = site(silent(4))
        assert "machine_offline" in {one.rule for one in judge_site(view, NOW).observations}
        seen = judge_site(view, NOW, limits).observations
        assert "machine_offline" not in {one.rule for one in seen}

    def test_what_is_not_given_keeps_its_default(self) -> None:
        limits = parse_limits({"machine_hot": {"antminer": {"chip_hot_c": 70.0}}})
        assert limits["machine_hot"].antminer.chip_hot_c == 70.0
        assert limits["machine_hot"].antminer.chip_stop_c == 95.0
        assert limits["machine_hot"].axeos == all_rules()["machine_hot"].limits.axeos

    def test_everything_wrong_is_told_at_once(self) -> None:
        with pytest.raises(InputError) as caught:
            parse_limits(
                {"no_such": {}, "fan_lost": {"rpm": 3}, "hashrate_low": {"low_share": "x"}}
            )
        text = str(caught.value)
        assert "no rule is called 'no_such'" in text
        assert "fan_lost" in text
        assert "low_share" in text
