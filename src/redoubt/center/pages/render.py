"""What every page's template is given besides its view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from litestar.response import Template

from redoubt.center.views import words
from redoubt.model.register import Register


def page(name: str, **context: Any) -> Template:
    """Return a page. `w` in a template is `redoubt.center.views.words`."""
    return Template(name, context={"w": words, **context})


def link(path: str, **query: object) -> str:
    """Return a path with a query, without what is empty."""
    words_of_query = {
        key: "true" if value is True else value
        for key, value in query.items()
        if value not in ("", None, False, 0)
    }
    return f"{path}?{urlencode(words_of_query)}" if words_of_query else path


def site_names(register: Register, others: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return (id, name) of every site, by name."""
    names: dict[str, str] = {site: site for site in others}
    names |= {site.id: site.name for site in register.sites}
    return sorted(names.items(), key=lambda item: item[1])
