"""`redoubt site`: enrol a site at its center, run its agent, see how it stands, find machines."""

from __future__ import annotations

import os
from pathlib import Path

import click

from redoubt.cli.site_scan import scan

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@click.group("site")
def command() -> None:
    """Enrol and run a site agent; find machines."""


@command.command("init")
@_FOLDER
@click.option("--center", required=True, metavar="URL", help="The center's address, https://….")
@click.option(
    "--token",
    required=True,
    metavar="FILE",
    help="A file with the enrolment token; - reads it from stdin. Never the token itself: "
    "others can read command lines.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="Where machines are looked for, such as 10.0.0.0/22. May be repeated.",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    help="A port that is not the usual one, such as antminer=14028. May be repeated.",
)
@click.option("--cadence", "cadence_s", type=float, help="Seconds between two readings. [15]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def init(
    folder: Path,
    center: str,
    token: str,
    networks: tuple[str, ...],
    ports: tuple[str, ...],
    cadence_s: float | None,
    as_json: bool,
) -> None:
    """Make DIR the folder of a site that the center at URL knows.

    The token comes from the center's page of the site. It is good once; with it the site gets its
    certificate. Networks and the rest can be changed later in DIR/site.toml.
    """
    import asyncio

    import msgspec

    from redoubt.edge.enrolment import parse_enrolment_token
    from redoubt.site.config import check_config, parse_center_url, save_config
    from redoubt.site.enrol import enrol
    from redoubt.site.folder import SiteFolder
    from redoubt.site.scan import parse_ports

    given: dict[str, object] = {"networks": networks, "ports": parse_ports(ports)}
    if cadence_s is not None:
        given["cadence_s"] = cadence_s
    site_folder = SiteFolder(folder)
    url = parse_center_url(center)
    check_config(given)
    config = asyncio.run(enrol(site_folder, url, parse_enrolment_token(_read_token(token))))
    save_config(msgspec.structs.replace(config, **given), site_folder)
    click.echo(
        f"{folder} is site {config.site} of {config.organisation} at {url}.\n"
        f"Machines' passwords go into {site_folder.credentials}, everything else into "
        f"{site_folder.config}.\nStart it with: redoubt site run {folder}",
        err=True,
    )
    if as_json:
        enrolled = {"site": config.site, "organisation": config.organisation, "center": url}
        click.echo(msgspec.json.encode(enrolled))


@command.command("run")
@_FOLDER
@click.option("--verbose", is_flag=True, help="Say more, to find out what is wrong.")
def run(folder: Path, verbose: bool) -> None:
    """Run the agent of the site in DIR until it is stopped (Ctrl-C or SIGTERM).

    It reads machines, keeps what they said in DIR, and brings it to the center when there is a
    link. It only ever reads.
    """
    import logging

    # Before pyarrow is imported: its default allocator keeps memory that is needed only at times.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    import uvloop

    from redoubt.site.folder import SiteFolder
    from redoubt.site.run import run_site

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    uvloop.run(run_site(SiteFolder(folder)))


@command.command("status")
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def status(folder: Path, as_json: bool) -> int:
    """Say how the site in DIR stands: certificate, register, what waits for the center.

    It may be asked beside a running agent. Exit code 1 where something needs a person.
    """
    import msgspec

    from redoubt.site.folder import SiteFolder
    from redoubt.site.standing import look_at_site, standing_lines

    standing = look_at_site(SiteFolder(folder))
    if as_json:
        click.echo(msgspec.json.encode(standing))
    else:
        click.echo("\n".join(standing_lines(standing)))
    return 1 if standing.problems else 0


command.add_command(scan)


def _read_token(source: str) -> str:
    from redoubt.model.errors import InputError

    try:
        with click.open_file(source, encoding="utf-8") as file:
            return str(file.readline(1000)).strip()
    except OSError as exc:
        why = exc.strerror or "it cannot be read"
        raise InputError(f"expected a file with the token, or - for stdin: {why}") from exc
    except UnicodeDecodeError as exc:
        raise InputError("expected the enrolment token as text, got binary data") from exc
