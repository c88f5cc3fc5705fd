"""Command-line entry point: subcommands by name, each imported only when it is called, so that --help is quick."""

import importlib
import os
import sys
from errno import EDQUOT, EIO, ENOSPC
from typing import Any

import click

COMMANDS = {
    "run": "Start the daemon.",
    "submit": "Submit a job, and perhaps wait for it.",
    "batch": "Submit jobs that depend on each other from a file.",
    "batches": "List, show, cancel and retry what was submitted together.",
    "jobs": "List, show, cancel, retry and follow jobs; pause types.",
    "types": "List the job types and their limits.",
    "boxes": "List the daemons that share the queue; drain and resume one.",
    "stats": "Show what happened in a window: how much, how long.",
    "system": "Show what the daemon runs on: versions, disks, database, memory.",
    "backend": "Show what active mode polled, took on and delivered.",
    "errors": "List what failed for good, in groups.",
    "recover": "Queue running jobs that do not move again.",
    "health": "Say whether the daemon serves, and what is wrong.",
    "check": "Say whether it is safe to restart now.",
    "doctor": "Look for everything that is usually wrong, and say what to do.",
    "keys": "Make, list and revoke access keys; show who changed what.",
    "schedule": "List schedules; run, pause and resume them.",
    "backup": "Copy the database while it is in use.",
    "restore": "Put a backup in the place of the database.",
    "move": "Move the queue to another database, SQLite or PostgreSQL.",
    "config": "Show, check or write the settings.",
    "service": "Install, remove or show the systemd service.",
    "completion": "Print a script that completes commands in a shell.",
    "manual": "Print the manual page.",
    "demo": "Start a daemon on a fresh folder and run three jobs on a small clip.",
}
ROOMS = {  # of the commands that are in a folder of their own
    **dict.fromkeys(("recover", "check", "backup", "restore", "move"), "database"),
    **dict.fromkeys(("backend", "boxes", "errors", "health", "stats", "system", "types"), "sight"),
    "doctor": "diagnosis",
    **dict.fromkeys(("completion", "manual"), "reference"),
}
UNWRITTEN = (ENOSPC, EDQUOT, EIO)


class Words(click.types.StringParamType):
    """Text that is there: nothing given for it is most often a variable of a script that was not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text."""
        if value == "":
            self.fail(
                "it is empty" if isinstance(param, click.Argument) else "it is empty; else leave it out", param, ctx
            )
        return super().convert(value, param, ctx)


class Lazy(click.Group):
    """A group whose commands are modules of this package, or of its room, with a command of the same name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        room = f"secondunit.cli.{ROOMS[cmd_name]}" if cmd_name in ROOMS else "secondunit.cli"
        command: click.Command = getattr(importlib.import_module(f"{room}.{cmd_name}"), cmd_name)
        return _worded(command)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _worded(command: click.Command) -> click.Command:
    """The command, and all of its own, where no text may be empty."""
    for param in command.params:
        if param.type is click.STRING:
            param.type = Words()
    for own in command.commands.values() if isinstance(command, click.Group) else ():
        _worded(own)
    return command


def _version(ctx: click.Context, _option: Any, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"secondunit {version('secondunit')}")
        ctx.exit()


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def secondunit() -> None:
    """Second Unit runs media jobs from a durable queue.

    Settings are environment variables, over a TOML file; `secondunit config show` lists them. Exit codes: 0 done, 1 it
    failed, 2 wrong usage, 78 wrong settings.
    """


def main() -> None:
    """The console script."""
    try:
        sys.exit(secondunit.main(prog_name="secondunit"))
    except OSError as error:  # of no file that has a name: of what is printed
        if error.filename is not None or error.errno not in UNWRITTEN:
            raise
        click.echo(f"the output can't be written: {error.strerror}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter says it once more at its end
        sys.exit(1)
