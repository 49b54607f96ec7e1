"""The command line: a file per command group; words in, a program's call, a printed answer.

Groups are imported when they are named, so that `redoubt --help` is quick however heavy a program
is. `main` is the one place where errors become sentences and exit codes: 0 done, 1 done with a
finding or a failure, 2 the call or its input was wrong.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

import redoubt

_COMMANDS = {
    "center": "Make and run a control center.",
    "demo": "A control center over a virtual mine, on loopback: see it work.",
    "machine": "Read one machine, now.",
    "site": "Enrol and run a site agent; find machines.",
    "world": "Run a virtual fleet on loopback.",
}
"""Each command and its one line of help: kept here so that help imports none of them."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of `redoubt.cli`, each with a `command` to run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"redoubt.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(redoubt.__version__, prog_name="redoubt")
def redoubt_command() -> None:
    """Redoubt: a control center for mining fleets in which every hash is accounted for.

    Commands that answer take --json: one JSON document per line on stdout, nothing else there.
    Exit codes: 0 done, 1 done with a finding or a failure, 2 the call or its input was wrong.
    """


def main() -> NoReturn:
    """Run the command line and exit. No traceback reaches a user for an error we foresaw."""
    from redoubt.model.errors import InputError, RedoubtError

    try:
        code = redoubt_command.main(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except InputError as exc:
        _complain(exc)
        sys.exit(2)
    except RedoubtError as exc:
        _complain(exc)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("redoubt: stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say, nor to say it to.
        sys.stderr.close()
        sys.exit(0)
    except OSError as exc:
        # What no adapter put in better words: a full disk, a folder that may not be written.
        where = f" ({exc.filename})" if exc.filename else ""
        _complain(f"the system refused: {exc.strerror or exc}{where}")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: object) -> None:
    click.echo(f"redoubt: {error}", err=True)
