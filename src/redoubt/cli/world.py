"""`redoubt world`: a virtual fleet on loopback, by itself or under the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from redoubt.world import WorldPlan
    from redoubt.world.running import World


@click.group()
def command() -> None:
    """Run a virtual fleet on loopback: machines that speak their families' real protocols."""


@command.command("run")
@click.option("--machines", default=1000, show_default=True, help="How many machines.")
@click.option("--seed", default=1, show_default=True, help="The same seed, the same mine.")
@click.option(
    "--network",
    default="127.20.0.0/16",
    show_default=True,
    help="A range of 127.0.0.0/8 for the machines' addresses.",
)
@click.option(
    "--incidents",
    metavar="NAME|FILE",
    help="What goes wrong: a packaged script (demo), or a TOML file.",
)
@click.option("--minutes", type=click.FloatRange(min=0), help="End after so long.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=600),
    default=1.0,
    show_default=True,
    help="Virtual seconds per second.",
)
@click.option(
    "--misbehave",
    multiple=True,
    metavar="HOW=COUNT|ADDRESS",
    help="Let machines misbehave, for instance hang=3; may be repeated.",
)
@click.option(
    "--mixture",
    metavar="FAMILY=SHARE,…",
    help="Shares of the families.  [default: antminer=70,whatsminer_v3=22,axeos=8]",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    help="Use this port for a service; may be repeated.",
)
@click.option(
    "--map",
    "map_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write where everything is, as JSON, once all machines listen.",
)
@click.option(
    "--targets",
    "targets_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the machines' addresses and ports as a site's targets.toml.",
)
@click.option(
    "--register",
    "register_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the register that allows these machines into this folder, as CSV.",
)
@click.option(
    "--credentials",
    "credentials_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the machines' logins as a site's credentials.toml (mode 0600).",
)
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON Lines.")
def run(
    machines: int,
    seed: int,
    network: str,
    incidents: str | None,
    minutes: float | None,
    speed: float,
    misbehave: tuple[str, ...],
    mixture: str | None,
    ports: tuple[str, ...],
    map_file: Path | None,
    targets_file: Path | None,
    register_dir: Path | None,
    credentials_file: Path | None,
    as_json: bool,
) -> None:
    """Run virtual machines until Ctrl-C, or for --minutes.

    Nothing of it is real: serials begin with V, pools lie under .invalid, and every address is
    in 127.0.0.0/8.
    """
    import asyncio

    import uvloop

    from redoubt.world import FleetPlan, WorldPlan, load_script
    from redoubt.world.running import NO_SCRIPT

    fleet = FleetPlan(machines=machines, seed=seed, network=network)
    if mixture is not None:
        fleet = FleetPlan(
            machines=machines, seed=seed, network=network, mixture=_parse_mixture(mixture)
        )
    plan = WorldPlan(
        fleet=fleet,
        script=load_script(incidents) if incidents else NO_SCRIPT,
        misbehave=_parse_misbehaviour(misbehave),
        ports=_parse_ports(ports),
        speed=speed,
    )
    outputs = _Outputs(map_file, targets_file, register_dir, credentials_file, as_json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(plan, minutes, outputs))


class _Outputs:
    """What is written once the world is open, and what is said while it runs."""

    def __init__(
        self,
        map_file: Path | None,
        targets: Path | None,
        register: Path | None,
        credentials: Path | None,
        as_json: bool,
    ) -> None:
        self._map_file = map_file
        self._targets = targets
        self._register = register
        self._credentials = credentials
        self._as_json = as_json

    def opened(self, world: World) -> None:
        from redoubt.world import files

        fleet = world.plan.fleet
        if self._register is not None:
            files.write_register(self._register, world.machines)
        if self._credentials is not None:
            files.write_credentials(self._credentials, world.machines)
        if self._targets is not None:
            files.write_targets(self._targets, world)
        if self._map_file is not None:
            files.write_map(self._map_file, world)
        self.say(
            {"event": "opened", "machines": len(world.machines), "ports": dict(world.ports)},
            f"{len(world.machines)} virtual machines listen in {fleet.network} "
            f"({', '.join(f'{name} {port}' for name, port in world.ports.items())})",
        )

    def happened(self, event: dict[str, Any]) -> None:
        struck = ", ".join(event["struck"]) or "nobody"
        verb = "is over for" if event["event"] == "over" else "strikes"
        self.say(event, f"{event['elapsed_s']:.0f} s: {event['kind']} {verb} {struck}")

    def say(self, event: dict[str, Any], sentence: str) -> None:
        import json

        click.echo(sentence, err=True)
        if self._as_json:
            click.echo(json.dumps(event, ensure_ascii=False))


async def _run(plan: WorldPlan, minutes: float | None, outputs: _Outputs) -> None:
    import asyncio
    import signal

    from redoubt.world import start

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with start(plan) as world:
        world.events.append(outputs.happened)
        outputs.opened(world)
        try:
            async with asyncio.timeout(None if minutes is None else minutes * 60):
                await stopped.wait()
        except TimeoutError:
            pass
    outputs.say({"event": "closed"}, "the virtual machines are gone")


def _parse_misbehaviour(wishes: tuple[str, ...]) -> dict[Any, int | str]:
    from redoubt.model.errors import InputError
    from redoubt.world import Misbehaviour

    parsed: dict[Any, int | str] = {}
    for wish in wishes:
        how, _, who = wish.partition("=")
        if how not in list(Misbehaviour) or not who:
            known = ", ".join(Misbehaviour)
            raise InputError(f"expected --misbehave HOW=COUNT with one of {known}; got {wish!r}")
        parsed[Misbehaviour(how)] = int(who) if who.isdecimal() else who
    return parsed


def _parse_mixture(text: str) -> dict[str, float]:
    from redoubt.model.errors import InputError

    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {family.strip(): float(share) for family, share in pairs}
    except ValueError as exc:
        raise InputError(
            f"expected --mixture like antminer=70,whatsminer_v3=30, got {text!r}"
        ) from exc


def _parse_ports(texts: tuple[str, ...]) -> dict[str, int]:
    from redoubt.model.errors import InputError
    from redoubt.world.models import SERVICES

    services = [service for family in SERVICES.values() for service in family]
    ports: dict[str, int] = {}
    for text in texts:
        service, _, port = text.partition("=")
        if service not in services or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(
                f"expected --port SERVICE=PORT with a service of {', '.join(services)}; "
                f"got {text!r}"
            )
        ports[service] = int(port)
    return ports
