"""The web side put together: every module's route handlers behind one guard."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig

import redoubt
from redoubt.center import (
    admin_api,
    enrol,
    live,
    metrics,
    pages,
    read_api,
    register_api,
    sign_in,
)
from redoubt.center.auth import Authenticate, csrf_of, is_secure, permit, provide_principal
from redoubt.center.context import Center
from redoubt.center.errors import (
    on_bug,
    on_http_error,
    on_input_error,
    on_redoubt_error,
    on_too_deep,
)
from redoubt.center.security import SecurityHeaders
from redoubt.center.slow_bodies import BodyDeadline
from redoubt.model.errors import InputError, RedoubtError

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The largest body that any handler takes: a register of a big fleet. Most set less."""

ROUTE_HANDLERS = tuple(
    handler
    for module in (
        sign_in, enrol, register_api, admin_api, read_api, metrics, live, pages,
    )
    for handler in module.route_handlers
)  # fmt: skip
"""Everything that answers a request; a module joins by its `route_handlers`."""


def build_app(center: Center) -> Litestar:
    """Return the ASGI application over a center's parts."""
    return Litestar(
        route_handlers=[*ROUTE_HANDLERS, _static_files()],
        dependencies={
            "center": Provide(lambda: center, sync_to_thread=False),
            "principal": Provide(provide_principal, sync_to_thread=False),
        },
        middleware=[BodyDeadline, DefineMiddleware(Authenticate, center=center)],
        guards=[permit],
        exception_handlers={
            HTTPException: on_http_error,
            InputError: on_input_error,
            RedoubtError: on_redoubt_error,
            RecursionError: on_too_deep,
            Exception: on_bug,
        },
        before_send=[SecurityHeaders(is_secure=is_secure(center))],
        template_config=TemplateConfig(instance=_templates()),
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


def _static_files() -> Router:
    """Our own files. What is none of them is refused before a path is made of its name: the file
    system has more ways to fail on a name (too long, with a zero byte) than by not finding it."""
    folder = _package_folder("static")
    names = {f"/static/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*")}

    def is_ours(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if connection.scope["path"] not in names:
            raise NotFoundException

    return create_static_files_router(
        path="/static",
        directories=[folder],
        opt={"public": True, "exclude_from_auth": True},
        guards=[is_ours],
    )


def _templates() -> JinjaTemplateEngine:
    environment = Environment(
        loader=FileSystemLoader(_package_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine = JinjaTemplateEngine(engine_instance=environment)
    engine.register_template_callable("csrf_token", lambda context: csrf_of(context["request"]))
    return engine


def _openapi() -> OpenAPIConfig:
    token = SecurityScheme(type="http", scheme="bearer", description="An API token.")
    return OpenAPIConfig(
        title="Redoubt",
        version=redoubt.__version__,
        path="/api/v1/openapi",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(security_schemes={"token": token}),
        security=[{"token": []}],
        use_handler_docstrings=True,
    )


def _package_folder(name: str) -> Path:
    return Path(str(resources.files("redoubt.center") / name))
