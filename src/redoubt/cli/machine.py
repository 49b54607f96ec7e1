"""`redoubt machine`: one machine, read now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from redoubt.model.status import MachineStatus
    from redoubt.site.credentials import Credentials


@click.group("machine")
def command() -> None:
    """Read one machine, now."""


@command.command("show")
@click.argument("address")
@click.option("--family", help="The machine's family, where it should not be found out.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    help="A port that is not the usual one, such as antminer=14028. May be repeated.",
)
@click.option("--user", default="root", show_default=True, help="User name for --password-file.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="A file whose first line is the machine's password; - reads it from stdin.",
)
@click.option(
    "--credentials",
    "credentials_file",
    type=click.Path(path_type=Path),
    help="A credentials.toml, as in a site's folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def show(
    address: str,
    family: str | None,
    ports: tuple[str, ...],
    user: str,
    password_file: Path | None,
    credentials_file: Path | None,
    as_json: bool,
) -> int:
    """Read the machine at ADDRESS and print what it says.

    Only reads. Without a password, what only the machine's web side tells stays unknown. Exit code
    1 when nothing answers.
    """
    import uvloop

    from redoubt.cli._status_table import status_lines
    from redoubt.model.status import MachineState
    from redoubt.site.scan import parse_ports

    credentials = _credentials(user, password_file, credentials_file)
    status = uvloop.run(_read(address, family, parse_ports(ports), credentials))
    if status.family is None and status.state is MachineState.OFFLINE:
        click.echo(f"redoubt: nothing answers at {address} on any port that machines use", err=True)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(status))
    elif status.state is not MachineState.OFFLINE or status.family is not None:
        click.echo("\n".join(status_lines(status)))
    return 1 if status.state is MachineState.OFFLINE else 0


def _credentials(user: str, password_file: Path | None, file: Path | None) -> Credentials:
    from redoubt.edge.miner import Login
    from redoubt.model.errors import InputError
    from redoubt.site.credentials import Credentials, load_credentials

    if password_file is not None and file is not None:
        raise InputError("give --password-file or --credentials, not both")
    if file is not None:
        if not file.exists():
            raise InputError(f"{file} does not exist")
        return load_credentials(file)
    if password_file is None:
        return Credentials()
    try:
        with click.open_file(str(password_file), encoding="utf-8") as source:
            password = source.readline().rstrip("\r\n")
    except OSError as exc:
        raise InputError(f"{password_file} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"expected the password as text in {password_file}") from exc
    return Credentials.single(Login(user, password))


async def _read(
    address: str, family: str | None, ports: dict[str, int], credentials: Credentials
) -> MachineStatus:
    from datetime import UTC, datetime

    from redoubt.model.ids import MachineId
    from redoubt.model.status import MachineState, MachineStatus
    from redoubt.site.poller import Poller, Target
    from redoubt.site.scan import find_one, resolve

    host = await resolve(address)
    if family is None:
        found = await find_one(host, ports, credentials=credentials)
        offline = MachineStatus(address=host, at=datetime.now(UTC), state=MachineState.OFFLINE)
        return found or offline
    target = Target(machine=MachineId("shown"), address=host, family=family, ports=ports)
    return (await Poller(credentials).poll(target)).status
