"""The about box: what this is, and the licences of what its pages use."""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec
from litestar import get
from litestar.response import Template

import redoubt
from redoubt.access.principal import Principal
from redoubt.center.pages.render import page


class VendorEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One library or font, as `tools/frontend.py` writes it down."""

    name: str
    version: str
    license: str
    license_file: str
    text: str = ""


@get("/about", include_in_schema=False)
async def about(principal: Principal) -> Template:
    """Version and licences."""
    return page("about.html", version=redoubt.__version__, vendor=vendor_entries())


@cache
def vendor_entries() -> tuple[VendorEntry, ...]:
    """Return what lies in static/vendor with the text of each licence; empty where nothing does."""
    folder = resources.files("redoubt.center") / "static" / "vendor"
    listing = folder / "vendor.json"
    if not listing.is_file():
        return ()
    entries = msgspec.json.decode(listing.read_bytes(), type=tuple[VendorEntry, ...])
    return tuple(
        msgspec.structs.replace(
            entry, text=(folder / entry.license_file).read_text(encoding="utf-8")
        )
        for entry in entries
    )


route_handlers = (about,)
