"""Every error that a request can cause, as a sentence: JSON for programs, a page for people."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Hashable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect, Template

from redoubt.model.errors import InputError, RedoubtError, ServiceError

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

_TITLES = {
    400: "That cannot be used",
    401: "Please sign in",
    403: "That is not for you",
    404: "There is no such page",
    405: "That cannot be done here",
    408: "That took too long",
    413: "That is too much",
    429: "Too many attempts",
}


class Seldom:
    """Logs one thing at most once in EVERY_S, and then how often it was left out: who can cause an
    error by a request cannot fill the disk with it."""

    EVERY_S = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[Hashable, tuple[float, int]] = {}

    def log(
        self,
        level: int,
        key: Hashable,
        text: str,
        *arguments: object,
        exc_info: Exception | None = None,
    ) -> None:
        """Log `text` unless something with this `key`, of which there are few, was just logged."""
        now = self._clock()
        said_at, left_out = self._said.get(key, (-math.inf, 0))
        if now - said_at < self.EVERY_S:
            self._said[key] = (said_at, left_out + 1)
            return
        self._said[key] = (now, 0)
        if left_out:
            text, arguments = f"{text} (and %d more like it since)", (*arguments, left_out)
        log.log(level, text, *arguments, exc_info=exc_info)


_seldom = Seldom()

_SENTENCES = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
    413: "what was sent is larger than this address takes",
}
"""In place of the framework's words."""


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Errors of the framework and of handlers, which carry their status."""
    if error.status_code == 401 and is_page(request) and request.method in ("GET", "HEAD"):
        return _to_sign_in(request)
    headers = dict(error.headers or {})
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return respond(request, error.status_code, _sentence(error), headers)


def on_input_error(request: AnyRequest, error: InputError) -> Response[Any]:
    return respond(request, 400, str(error))


def on_redoubt_error(request: AnyRequest, error: RedoubtError) -> Response[Any]:
    """What went wrong on our side, or between us and another device, and has a sentence."""
    status = 503 if isinstance(error, ServiceError) else 400
    name = request.route_handler.handler_name
    _seldom.log(logging.WARNING, (name, type(error)), "%s: %s", name, error)
    return respond(request, status, str(error))


def on_too_deep(request: AnyRequest, _error: RecursionError) -> Response[Any]:
    """JSON that is brackets all the way down: msgspec stops at Python's depth."""
    return respond(request, 400, "what was sent is nested too deeply")


def on_bug(request: AnyRequest, error: Exception) -> Response[Any]:
    """Anything else is ours to mend: logged whole, told briefly. The path may hold a secret."""
    trace = traceback.extract_tb(error.__traceback__)
    key = (type(error), trace[-1].filename, trace[-1].lineno) if trace else (type(error),)
    text = "a request failed: %s"
    _seldom.log(logging.ERROR, key, text, type(error).__name__, exc_info=error)
    return respond(request, 500, "something went wrong in the center; its log says what")


def respond(
    request: AnyRequest, status: int, sentence: str, headers: dict[str, str] | None = None
) -> Response[Any]:
    if is_page(request):
        context = {"status": status, "title": _TITLES.get(status, "Error"), "sentence": sentence}
        return Template("auth/error.html", context=context, status_code=status, headers=headers)
    return Response(
        {"error": sentence}, status_code=status, headers=headers, media_type=MediaType.JSON
    )


def is_page(request: AnyRequest) -> bool:
    """Whether a person's browser asks for a page, rather than a program or a script of a page."""
    if request.url.path.startswith("/api/") or request.headers.get("hx-request"):
        return False
    return "text/html" in request.headers.get("accept", "")


def _to_sign_in(request: AnyRequest) -> Redirect:
    path = request.url.path
    back = "" if path == "/" else f"?next={quote(path, safe='')}"
    return Redirect(f"/sign-in{back}", status_code=303)


def _sentence(error: HTTPException) -> str:
    if error.detail == HTTPStatus(error.status_code).phrase:
        return _SENTENCES.get(error.status_code, error.detail.lower())
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        parts = [
            f"{part.get('key', 'body')}: {part.get('message', '')}"
            for part in error.extra
            if isinstance(part, dict)
        ]
        return "; ".join(parts)[:1000] or error.detail
    return error.detail[:1000]
