"""`redoubt demo`: a control center, a site agent and a virtual mine, introduced to each other.

Each runs as its own process by its own command line, as it would at a user's; this file makes their
folders, lets the site in with a real token, and prints the address to open.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from redoubt.cli._processes import Programs
    from redoubt.edge.records import Records
    from redoubt.model.ids import OrganisationId

_WEB_PORT = 8080
_ANY_MACHINES_PORT = 4028
"""The first machine of a virtual mine is a stock Antminer in every seed's usual mixture."""
_READY_WITHIN_S = 60.0
_ORGANISATION = "demo"


class _Recipe(msgspec.Struct, frozen=True):
    """What a demo folder was made from: it can be run again, but not as another mine."""

    machines: int
    seed: int
    network: str
    web_port: int
    agent_port: int


class _Folder:
    """Where the demo's parts lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recipe = root / "demo.json"
        self.center = root / "center"
        self.site = root / "site"
        self.world = root / "world"
        self.logs = root / "logs"
        self.map = self.world / "map.json"


@click.command("demo")
@click.option(
    "--machines",
    type=click.IntRange(1, 5000),
    default=1000,
    show_default=True,
    help="How many virtual machines.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="The same seed, the same mine."
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything here, and go on from here next time.  [a temporary folder]",
)
@click.option("--minutes", type=click.FloatRange(min=0.1), help="End after so long.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port of the pages.  [{_WEB_PORT}, if it is free]",
)
def command(
    machines: int, seed: int, folder: Path | None, minutes: float | None, port: int | None
) -> None:
    """Run a control center over a virtual mine on loopback, and print the address to open.

    Everything virtual says so. Ctrl-C ends all of it; without --dir nothing is left behind.
    """
    from redoubt.cli._processes import programs, sleep_until_stopped

    with _open_folder(folder) as place:
        recipe = _recipe(place, machines, seed, port)
        for path in (place.world, place.logs):
            path.mkdir(parents=True, exist_ok=True)
        with programs(place.logs) as running:
            click.echo(f"starting {machines} virtual machines", err=True)
            _start_world(running, place, recipe)
            link = _prepare_center(place, recipe)
            click.echo("starting the control center and the site agent", err=True)
            url = f"http://127.0.0.1:{recipe.web_port}"
            _start_center(running, place, url)
            _start_site(running, place, url)
            click.echo(f"{url}{link}")
            click.echo(
                "open this address: it signs you in, once, within 15 minutes; Ctrl-C ends the demo",
                err=True,
            )
            sleep_until_stopped(running, None if minutes is None else minutes * 60)
    click.echo("the demo is over; nothing of it is running", err=True)


@contextmanager
def _open_folder(folder: Path | None) -> Iterator[_Folder]:
    if folder is not None:
        yield _Folder(folder.absolute())
        return
    with tempfile.TemporaryDirectory(prefix="redoubt-demo-", ignore_cleanup_errors=True) as path:
        yield _Folder(Path(path))


def _recipe(place: _Folder, machines: int, seed: int, port: int | None) -> _Recipe:
    """Return how this folder's demo is made, as it was written or newly.

    Raises InputError where the folder holds something else.
    """
    from redoubt.edge.files import write_file
    from redoubt.model.errors import InputError

    if place.recipe.exists():
        known = msgspec.json.decode(place.recipe.read_bytes(), type=_Recipe)
        if (known.machines, known.seed) != (machines, seed):
            raise InputError(
                f"{place.root} holds a demo of {known.machines} machines with seed {known.seed}: "
                "ask for the same, or name another folder"
            )
        return known
    recipe = _Recipe(machines, seed, _free_network(), port or _free_port(_WEB_PORT), _free_port(0))
    try:
        place.root.mkdir(parents=True, exist_ok=True)
        if any(place.root.iterdir()):
            raise InputError(f"{place.root} holds files already: name an empty or a new folder")
    except OSError as exc:
        raise InputError(f"{place.root} cannot be used: {exc.strerror}") from exc
    write_file(place.recipe, msgspec.json.encode(recipe))
    return recipe


def _free_port(wanted: int) -> int:
    """Return `wanted` where it is free on loopback, else any port that is."""
    import socket

    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    raise AssertionError("loopback has no free port")


def _free_network() -> str:
    """Return a range of loopback in which no other virtual mine lives."""
    import socket

    networks = [f"127.{octet}.0.0/16" for octet in range(20, 60)]
    for network in networks:
        with socket.socket() as probe:
            if probe.connect_ex((network.replace(".0.0/16", ".0.1"), _ANY_MACHINES_PORT)):
                return network
    return networks[0]


def _start_world(running: Programs, place: _Folder, recipe: _Recipe) -> None:
    place.map.unlink(missing_ok=True)
    place.site.mkdir(mode=0o700, exist_ok=True)
    running.start(
        "virtual mine",
        [
            *("world", "run", "--incidents", "demo"),
            *("--machines", str(recipe.machines), "--seed", str(recipe.seed)),
            *("--network", recipe.network),
            *("--map", str(place.map), "--register", str(place.world)),
            *("--targets", str(place.site / "targets.toml")),
            *("--credentials", str(place.site / "credentials.toml")),
        ],
    )
    running.wait_for("virtual mine", place.map.exists, _READY_WITHIN_S)


def _prepare_center(place: _Folder, recipe: _Recipe) -> str:
    """Make the center unless it stands; return the path of a link that signs in, once."""
    from redoubt.center.context import utc_now
    from redoubt.center.folder import CenterFolder, make_center
    from redoubt.center.links import make_link
    from redoubt.center.settings import Settings
    from redoubt.edge.records import open_records
    from redoubt.edge.records.sessions import LinkPurpose
    from redoubt.model.ids import OrganisationId, UserId
    from redoubt.model.register import Organisation

    organisation = OrganisationId(_ORGANISATION)
    if place.center.exists():
        records = open_records(CenterFolder(place.center).records_url)
    else:
        settings = Settings(
            web_listen=f"127.0.0.1:{recipe.web_port}", agent_listen=f"127.0.0.1:{recipe.agent_port}"
        )
        named = Organisation(organisation, "Virtual mine")
        records = make_center(place.center, settings, named, utc_now())
    if records.people.get(organisation, UserId(_ORGANISATION)) is None:
        _fill_center(records, organisation, place)
    try:
        return make_link(
            records,
            organisation,
            utc_now(),
            purpose=LinkPurpose.SIGN_IN,
            user=UserId(_ORGANISATION),
        )
    finally:
        records.close()


def _fill_center(records: Records, organisation: OrganisationId, place: _Folder) -> None:
    """Register the virtual mine, and let somebody in who may see and change all of it."""
    from redoubt.center.context import utc_now
    from redoubt.center.register_import import import_files
    from redoubt.edge.records.people import Person
    from redoubt.model.errors import ServiceError
    from redoubt.model.ids import UserId
    from redoubt.model.register import Role
    from redoubt.model.register.changes import FileText

    now = utc_now()
    files = [FileText(path.name, path.read_bytes()) for path in sorted(place.world.glob("*.csv"))]
    report = import_files(records, organisation, files, "demo", now)
    if report.problems:
        raise ServiceError(f"the virtual mine's register cannot be imported: {report.problems[0]}")
    records.people.add(
        Person(
            id=UserId(_ORGANISATION),
            organisation=organisation,
            email="demo@demo.invalid",
            name="Demo",
            role=Role.ADMIN,
            created_at=now,
        )
    )


def _start_center(running: Programs, place: _Folder, url: str) -> None:
    log = running.log("control center")
    seen = log.stat().st_size if log.exists() else 0
    running.start("control center", ["center", "run", str(place.center)])
    running.wait_for(
        "control center", lambda: url.encode() in log.read_bytes()[seen:], _READY_WITHIN_S
    )


def _start_site(running: Programs, place: _Folder, url: str) -> None:
    """Enrol the site where it is not yet, and start its agent."""
    import asyncio

    from redoubt.center.context import utc_now
    from redoubt.center.folder import CenterFolder
    from redoubt.center.site_tokens import make_enrolment_token
    from redoubt.edge.enrolment import parse_enrolment_token
    from redoubt.edge.records import open_records
    from redoubt.model.ids import OrganisationId
    from redoubt.site.config import save_config
    from redoubt.site.enrol import enrol
    from redoubt.site.folder import SiteFolder

    folder = SiteFolder(place.site)
    if not folder.is_enrolled:
        center = CenterFolder(place.center)
        records = open_records(center.records_url)
        try:
            organisation = OrganisationId(_ORGANISATION)
            site = records.register.sites(organisation)[0].id
            certificate = center.authority().certificate
            token = make_enrolment_token(
                records, certificate, organisation, site, "demo", utc_now()
            )
        finally:
            records.close()
        config = asyncio.run(enrol(folder, url, parse_enrolment_token(token)))
        world = msgspec.json.decode(place.map.read_bytes())
        config = msgspec.structs.replace(
            config, networks=tuple(world["networks"]), ports=world["ports"], discover_every_s=60.0
        )
        save_config(config, folder)
    running.start("site agent", ["site", "run", str(place.site)])
