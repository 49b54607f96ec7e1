"""`redoubt center`: make and run a control center, let people and sites in, move its register."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@click.group("center")
def command() -> None:
    """Make and run a control center."""


@command.command("init")
@_FOLDER
@click.option("--organisation", default="main", show_default=True, help="Id of the first one.")
@click.option("--name", default=None, help="The organisation's name; its id where left out.")
@click.option("--web-listen", default=None, metavar="HOST:PORT", help="Pages and API.")
@click.option("--agent-listen", default=None, metavar="HOST:PORT", help="Site agents, by TLS.")
@click.option("--public-host", default=None, help="Name or address by which others reach it.")
def init(
    folder: Path,
    organisation: str,
    name: str | None,
    web_listen: str | None,
    agent_listen: str | None,
    public_host: str | None,
) -> None:
    """Make a control center in DIR and print a one-time link for its first admin."""
    from redoubt.center.context import utc_now
    from redoubt.center.folder import make_center
    from redoubt.center.links import make_link
    from redoubt.center.settings import Settings
    from redoubt.model.ids import OrganisationId, check_id
    from redoubt.model.register import Organisation

    given = {"web_listen": web_listen, "agent_listen": agent_listen, "public_host": public_host}
    settings = Settings(**{key: value for key, value in given.items() if value is not None})
    known = Organisation(
        OrganisationId(check_id(organisation, "--organisation")), name or organisation
    )
    now = utc_now()
    records = make_center(folder, settings, known, now)
    link = make_link(records, known.id, now)
    records.close()
    click.echo(
        f"control center made in {folder}; start it with: redoubt center run {folder}", err=True
    )
    click.echo(
        "then open this link within 15 minutes to make the first admin; it works once:", err=True
    )
    click.echo(f"{settings.web().url}{link}")


@command.command("run")
@_FOLDER
@click.option("--web-listen", default=None, metavar="HOST:PORT", help="Pages and API, this time.")
@click.option("--agent-listen", default=None, metavar="HOST:PORT", help="Site agents, this time.")
def run(folder: Path, web_listen: str | None, agent_listen: str | None) -> None:
    """Run the control center in DIR until Ctrl-C; prints its URL once it answers."""
    import asyncio

    import msgspec

    from redoubt.center.folder import CenterFolder
    from redoubt.center.run import run_center
    from redoubt.center.settings import load_settings

    settings = load_settings(folder)
    given = {"web_listen": web_listen, "agent_listen": agent_listen}
    settings = msgspec.structs.replace(
        settings, **{key: value for key, value in given.items() if value is not None}
    ).check()
    asyncio.run(run_center(CenterFolder(folder), settings, click.echo))
