"""`redoubt center`: make and run a control center, let people and sites in, keep it safe."""

from __future__ import annotations

from pathlib import Path

import click

from redoubt.cli.center_register import register

FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group("center")
def command() -> None:
    """Make and run a control center."""


command.add_command(register)


@command.command("init")
@FOLDER
@click.option("--organisation", default="main", show_default=True, help="Id of the first one.")
@click.option("--name", default=None, help="The organisation's name; its id where left out.")
@click.option("--web-listen", default=None, metavar="HOST:PORT", help="Pages and API.")
@click.option("--agent-listen", default=None, metavar="HOST:PORT", help="Site agents, by TLS.")
@click.option("--public-host", default=None, help="Name or address by which others reach it.")
@AS_JSON
def init(
    folder: Path,
    organisation: str,
    name: str | None,
    web_listen: str | None,
    agent_listen: str | None,
    public_host: str | None,
    as_json: bool,
) -> None:
    """Make a control center in DIR and print a one-time link for its first admin."""
    from redoubt.access.password import check_name
    from redoubt.center.context import utc_now
    from redoubt.center.folder import make_center
    from redoubt.center.links import make_link
    from redoubt.center.settings import Settings
    from redoubt.model.ids import OrganisationId, check_id
    from redoubt.model.register import Organisation

    given = {"web_listen": web_listen, "agent_listen": agent_listen, "public_host": public_host}
    settings = Settings(**{key: value for key, value in given.items() if value is not None}).check()
    first = Organisation(
        OrganisationId(check_id(organisation, "--organisation")),
        check_name(name or organisation, "--name"),
    )
    now = utc_now()
    records = make_center(folder, settings, first, now)
    link = make_link(records, first.id, now)
    records.close()
    click.echo(
        f"A control center is made in {folder}. Start it with: redoubt center run {folder}\n"
        "Then open this link within 15 minutes to become its first admin. It works once:",
        err=True,
    )
    _answer(f"{settings.base_url}{link}", "link", as_json)


@command.command("run")
@FOLDER
@click.option("--web-listen", default=None, metavar="HOST:PORT", help="Pages and API, this time.")
@click.option("--agent-listen", default=None, metavar="HOST:PORT", help="Site agents, this time.")
def run(folder: Path, web_listen: str | None, agent_listen: str | None) -> None:
    """Run the control center in DIR until Ctrl-C; prints its URL once it answers."""
    import asyncio
    import logging

    import msgspec

    from redoubt.center.folder import CenterFolder
    from redoubt.center.run import run_center
    from redoubt.center.settings import load_settings

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load_settings(folder)
    given = {"web_listen": web_listen, "agent_listen": agent_listen}
    settings = msgspec.structs.replace(
        settings, **{key: value for key, value in given.items() if value is not None}
    ).check()
    asyncio.run(run_center(CenterFolder(folder), settings, click.echo))


@command.command("link")
@FOLDER
@click.option("--organisation", default=None, help="Whose admin; the first one where left out.")
@click.option("--email", default=None, help="Whose password to set anew; else a new admin.")
@click.option("--sign-in", is_flag=True, help="Straight in, without setting a password.")
@AS_JSON
def link(
    folder: Path, organisation: str | None, email: str | None, sign_in: bool, as_json: bool
) -> None:
    """Print a one-time link, good for 15 minutes: for a new admin, or a lost password."""
    from redoubt.center.console import console_link
    from redoubt.center.settings import load_settings

    path = console_link(folder, organisation, email, sign_in=sign_in)
    _answer(f"{load_settings(folder).base_url}{path}", "link", as_json)


@command.group("token")
def token() -> None:
    """Make tokens: for a site to enrol with, for a program to read the API with."""


@token.command("site")
@FOLDER
@click.argument("site")
@click.option("--name", default=None, help="Register the site first, under this name.")
@click.option("--virtual", is_flag=True, help="A site that is not real, where it is new.")
@click.option("--organisation", default=None, help="Whose site; the first one where left out.")
@AS_JSON
def token_site(
    folder: Path,
    site: str,
    name: str | None,
    virtual: bool,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Print an enrolment token for SITE: good once, within 24 hours, for this site alone.

    A site that is not registered yet is registered where --name is given, else refused.
    """
    from redoubt.center.console import console_site_token

    made = console_site_token(folder, organisation, site, name=name, virtual=virtual)
    if made.is_new_site:
        click.echo(f"Site {site} was not registered yet and is now.", err=True)
    click.echo(
        "Give this to `redoubt site init DIR --center URL --token -` at the site, within 24 hours. "
        "It works once:",
        err=True,
    )
    _answer(made.token, "token", as_json)


@token.command("api")
@FOLDER
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("read",),
    show_default=True,
    help="What it may do: read, metrics, findings:ack, register:write, admin. May be repeated.",
)
@click.option(
    "--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How long it lasts."
)
@click.option("--organisation", default=None, help="Whose; the first one where left out.")
@AS_JSON
def token_api(
    folder: Path,
    name: str,
    scopes: tuple[str, ...],
    days: int,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Print a new API token called NAME; it is shown this once. Send it as a Bearer token."""
    from redoubt.center.console import console_api_token

    _answer(console_api_token(folder, organisation, name, scopes, days), "token", as_json)


@command.group("agent")
def agent_group() -> None:
    """Site agents that enrolled here."""


@agent_group.command("list")
@FOLDER
@click.option("--organisation", default=None, help="Whose; the first one where left out.")
@AS_JSON
def agent_list(folder: Path, organisation: str | None, as_json: bool) -> None:
    """List the agents: their sites, the end of their certificates, their last contact."""
    from redoubt.center.console import console_agents

    for agent in console_agents(folder, organisation):
        if as_json:
            click.echo(_json(agent))
            continue
        heard = agent.last_contact_at
        standing = "revoked" if agent.revoked_at else f"until {agent.expires_at:%Y-%m-%d %H:%M} UTC"
        contact = f"last contact {heard:%Y-%m-%d %H:%M} UTC" if heard else "no contact yet"
        click.echo(f"{agent.site:24}  {agent.agent:20}  {standing:26}  {contact}")


@agent_group.command("revoke")
@FOLDER
@click.argument("site")
@click.argument("agent")
@click.option("--organisation", default=None, help="Whose; the first one where left out.")
def agent_revoke(folder: Path, site: str, agent: str, organisation: str | None) -> None:
    """Shut AGENT of SITE out for good: its certificate opens nothing any more."""
    from redoubt.center.console import console_revoke_agent

    console_revoke_agent(folder, organisation, site, agent)
    click.echo(f"{agent} of {site} is shut out; a new one needs a new enrolment token.", err=True)


@command.group("organisation")
def organisation_group() -> None:
    """Organisations that share this center and see nothing of each other."""


@organisation_group.command("add")
@FOLDER
@click.argument("identifier", metavar="ID")
@click.option("--name", default=None, help="Its name; its id where left out.")
@click.option("--client", is_flag=True, help="Protected without mining.")
@AS_JSON
def organisation_add(
    folder: Path, identifier: str, name: str | None, client: bool, as_json: bool
) -> None:
    """Add an organisation and print a one-time link for its first admin."""
    from redoubt.center.console import console_add_organisation
    from redoubt.center.settings import load_settings

    path = console_add_organisation(folder, identifier, name or identifier, is_client=client)
    _answer(f"{load_settings(folder).base_url}{path}", "link", as_json)


@command.command("backup")
@FOLDER
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@AS_JSON
def backup(folder: Path, target: Path, as_json: bool) -> None:
    """Write all that the center in DIR is, keys included, to FILE. Keep it as safe as the keys.

    While the center runs its telemetry (samples and roll-ups) is left out: stop it for those.
    """
    from redoubt.center.backup import back_up
    from redoubt.center.context import utc_now

    manifest = back_up(folder, target, utc_now())
    what = "with its telemetry" if manifest.has_telemetry else "WITHOUT telemetry, since it runs"
    click.echo(f"{folder} is in {target}, {what}.", err=True)
    if as_json:
        click.echo(_json(manifest))


@command.command("restore")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@FOLDER
@AS_JSON
def restore(source: Path, folder: Path, as_json: bool) -> None:
    """Make the center in backup FILE anew in DIR, a folder that is empty or new."""
    from redoubt.center.backup import restore as restore_center

    manifest = restore_center(source, folder)
    what = "with its telemetry" if manifest.has_telemetry else "without telemetry"
    click.echo(
        f"{folder} is the center as of {manifest.made_at:%Y-%m-%d %H:%M} UTC, {what}. "
        f"Start it with: redoubt center run {folder}",
        err=True,
    )
    if as_json:
        click.echo(_json(manifest))


def _answer(text: str, name: str, as_json: bool) -> None:
    """Print the one thing that was asked for, bare or as {name: text}."""
    click.echo(_json({name: text}) if as_json else text)


def _json(answer: object) -> bytes:
    import msgspec

    return msgspec.json.encode(answer)
