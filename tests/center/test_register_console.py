"""The register by the command line: what somebody may not have meant is told beforehand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from redoubt.center.folder import make_center
from redoubt.center.settings import Settings
from redoubt.cli.center import command
from redoubt.edge.records.agents import Agent
from redoubt.model.ids import SiteId
from redoubt.model.register import Organisation
from redoubt.model.register.toml_form import write_toml
from tests.model.register.registers import ACME, SMALL

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def register(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(command, ["register", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def test_a_site_that_goes_while_its_agent_may_still_come_in_is_told(tmp_path: Path) -> None:
    center = tmp_path / "center"
    settings = Settings(web_listen="127.0.0.1:0", agent_listen="127.0.0.1:0")
    records = make_center(center, settings, Organisation(ACME, "Acme"), NOW)
    records.register.save(msgspec.structs.replace(SMALL, version=0), "x", NOW)
    agent = Agent(
        organisation=ACME,
        site=SiteId("hall"),
        agent="hall-1",
        key_fingerprint="k",
        certificate_serial="1",
        enrolled_at=NOW,
        renewed_at=NOW,
        expires_at=NOW,
    )
    records.agents.add(agent)
    records.close()
    file = tmp_path / "register.toml"
    left = msgspec.structs.replace(SMALL, sites=SMALL.sites[:1], machines=SMALL.machines[:1])
    file.write_text(write_toml(left), encoding="utf-8")
    words = "site hall is removed, and its agent hall-1 may still come in"
    preview = register("preview", center, file)
    assert f"warning: {words}" in preview.stderr
    assert "sites: 0 added, 0 changed, 1 removed" in preview.stdout
    (warning,) = json.loads(register("preview", center, file, "--json").stdout)["warnings"]
    assert warning.startswith(words)
    assert words in register("import", center, file).stderr
    assert words not in register("import", center, file).stderr
