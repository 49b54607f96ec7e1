"""The register over the API: read it, export it, see what an import would change, import it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import MediaType, Response, get, post
from litestar.exceptions import NotFoundException

from redoubt.access.principal import Principal, Scope
from redoubt.center.context import Center
from redoubt.center.register_import import ImportReport, import_files, preview_files
from redoubt.model.register import Register
from redoubt.model.register.changes import FileText
from redoubt.model.register.columns import table_named
from redoubt.model.register.csv_form import write_csv
from redoubt.model.register.toml_form import write_toml

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_FILES = 16


class ImportFile(msgspec.Struct, frozen=True):
    """`name` says what it is: `machines.csv`, `racks.csv` …, or anything that ends in `.toml`."""

    name: str
    text: str


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files to take together. `version` is the register's version that the preview was made from:
    an import is refused where the register has changed since; None takes any."""

    files: list[ImportFile]
    version: int | None = None


@get("/api/v1/register")
async def get_register(center: Center, principal: Principal) -> Response[Register]:
    """The whole register with its version."""
    register = await asyncio.to_thread(center.records.register.load, principal.organisation)
    return _json(register)


@get("/api/v1/register/export/{name:str}", media_type=MediaType.TEXT)
async def export_register(center: Center, principal: Principal, name: str) -> Response[str]:
    """One table as CSV (`machines.csv`), or all of it as TOML (`register.toml`)."""
    table = table_named(name.removesuffix(".csv")) if name.endswith(".csv") else None
    if table is None and name != "register.toml":
        raise NotFoundException("expected register.toml, or the name of a table with .csv")
    register = await asyncio.to_thread(center.records.register.load, principal.organisation)
    if table is None:
        text, kind = await asyncio.to_thread(write_toml, register), "application/toml"
    else:
        text, kind = await asyncio.to_thread(write_csv, register, table), "text/csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=kind, headers=headers)


@post(
    "/api/v1/register/preview",
    scope=Scope.REGISTER_WRITE,
    status_code=200,
    request_max_body_size=MAX_BODY_BYTES,
)
async def preview_import(
    center: Center, principal: Principal, data: ImportRequest
) -> Response[ImportReport]:
    """What an import would add, change and remove, or every problem in it. Changes nothing."""
    report = await asyncio.to_thread(
        preview_files, center.records, principal.organisation, _files(data)
    )
    return _report(report)


@post(
    "/api/v1/register/import",
    scope=Scope.REGISTER_WRITE,
    status_code=200,
    request_max_body_size=MAX_BODY_BYTES,
)
async def post_import(
    center: Center, principal: Principal, data: ImportRequest
) -> Response[ImportReport]:
    """Import files: all of them, or on any problem nothing."""
    report = await asyncio.to_thread(
        import_files,
        center.records,
        principal.organisation,
        _files(data),
        principal.who,
        center.clock(),
        data.version,
    )
    if not report.problems:
        center.registers.ring(principal.organisation, report.version)
    return _report(report)


def _files(data: ImportRequest) -> list[FileText]:
    return [FileText(file.name[:255], file.text.encode()) for file in data.files[:MAX_FILES]]


def _report(report: ImportReport) -> Response[ImportReport]:
    return _json(report, 200 if not report.problems else 422)


def _json(value: Any, status: int = 200) -> Response[Any]:
    """msgspec by itself: Litestar's encoder would ask per value whether it knows the type."""
    return Response(msgspec.json.encode(value), status_code=status, media_type=MediaType.JSON)


route_handlers = (get_register, export_register, preview_import, post_import)
