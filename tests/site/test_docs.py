"""docs/site.md names every setting and every file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from redoubt.site.config import SiteConfig
from redoubt.site.folder import SiteFolder

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "site.md").read_text(encoding="utf-8")


def test_every_setting_is_documented() -> None:
    for field in msgspec.structs.fields(SiteConfig):
        assert any(form in PAGE for form in (f"`{field.name}`", f"[{field.name}"))


def test_every_file_is_documented() -> None:
    files = [path for path in vars(SiteFolder(Path("DIR"))).values() if path.name != "DIR"]
    assert files
    for path in files:
        assert f"`{path.name}`" in PAGE
