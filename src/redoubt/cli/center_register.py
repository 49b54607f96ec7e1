"""`redoubt center register`: take the register out, see what an import would change, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redoubt.center.register_import import ImportReport
    from redoubt.model.register.changes import FileText, TableChanges

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_FILES = click.argument(
    "files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path)
)
_ORGANISATION = click.option(
    "--organisation", default=None, help="Whose register; the first one where left out."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_MOST_LINES = 40


@click.group("register")
def register() -> None:
    """Export, preview and import what is allowed: sites, racks, machines, pools, owners."""


@register.command("export")
@_FOLDER
@click.option(
    "--csv",
    "csv_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one CSV file per table into FOLDER.",
)
@_ORGANISATION
def export(folder: Path, csv_folder: Path | None, organisation: str | None) -> None:
    """Print the register as TOML, or write it as CSV."""
    from redoubt.center.console import console_register
    from redoubt.model.register.columns import TABLES
    from redoubt.model.register.csv_form import write_csv
    from redoubt.model.register.toml_form import write_toml

    known = console_register(folder, organisation)
    if csv_folder is None:
        click.echo(write_toml(known), nl=False)
        return
    csv_folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        path = csv_folder / f"{table.name}.csv"
        path.write_text(write_csv(known, table), encoding="utf-8", newline="")
        click.echo(f"{path}: {len(getattr(known, table.name))} {table.name}", err=True)


@register.command("preview")
@_FOLDER
@_FILES
@_ORGANISATION
@_JSON
def preview(folder: Path, files: tuple[Path, ...], organisation: str | None, as_json: bool) -> None:
    """Say what importing FILEs (machines.csv …, or one .toml) would change. Changes nothing."""
    from redoubt.center.console import console_preview

    _show(console_preview(folder, organisation, _read(files)), as_json, "would be")


@register.command("import")
@_FOLDER
@_FILES
@_ORGANISATION
@_JSON
def import_command(
    folder: Path, files: tuple[Path, ...], organisation: str | None, as_json: bool
) -> None:
    """Import FILEs as one change, all or nothing. A running center passes it on to its sites."""
    from redoubt.center.console import console_import

    _show(console_import(folder, organisation, _read(files)), as_json, "is")


def _read(paths: Sequence[Path]) -> list[FileText]:
    from redoubt.model.errors import InputError
    from redoubt.model.register.changes import FileText
    from redoubt.model.register.draft import MAX_FILE_BYTES

    files = []
    for path in paths:
        try:
            with path.open("rb") as file:
                files.append(FileText(path.name, file.read(MAX_FILE_BYTES + 1)))
        except OSError as exc:
            raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    return files


def _show(report: ImportReport, as_json: bool, verb: str) -> None:
    """Print a report; ends with exit code 2 where there are problems."""
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        for change in report.changes:
            _show_change(change, verb)
        if not report.changes and not report.problems:
            click.echo("Nothing differs from what is registered.")
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    for problem in report.problems:
        click.echo(str(problem), err=True)
    if report.problems:
        click.echo("Nothing was changed.", err=True)
        sys.exit(2)


def _show_change(change: TableChanges, verb: str) -> None:
    lines = [f"+ {key}" for key in change.added]
    lines += [
        f"~ {row.id}: "
        + ", ".join(
            f"{field.name} {_say(field.before)} → {_say(field.after)}" for field in row.fields
        )
        for row in change.changed
    ]
    lines += [f"- {key}" for key in change.removed]
    click.echo(
        f"{change.table}: {len(change.added)} added, {len(change.changed)} changed, "
        f"{len(change.removed)} removed ({verb} so)"
    )
    for line in lines[:_MOST_LINES]:
        click.echo(f"  {line}")
    if len(lines) > _MOST_LINES:
        click.echo(f"  … and {len(lines) - _MOST_LINES} more (--json has all)")


def _say(value: str | None) -> str:
    return "nothing" if value is None else repr(value)
