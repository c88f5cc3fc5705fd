"""Command `secondunit config`: what the settings are, and whether they can be used."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from secondunit.cli import output
from secondunit.daemon.process.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from secondunit.daemon.config.loader import Config


@click.group()
def config() -> None:
    """Show or check the settings that `secondunit run` would use here."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Print every setting with its value; secrets as ***."""
    from secondunit.daemon.config.loader import shown

    found = loaded()
    values = shown(found.settings)
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values))
    for name, value in values.items():
        origin = found.origins.get(name.lower(), "default")
        text = value if isinstance(value, str) else json.dumps(value)
        click.echo(f"{name:{width}}  {visible(text)}  " + click.style(f"({origin})", dim=True))


@config.command()
def check() -> None:
    """Say whether the daemon would start with these settings: 0, or 78 and every fault."""
    for warning in loaded(starts=True).warnings:
        output.say(f"warning: {warning}", err=True)
    click.echo("the settings are fine")


def loaded(*, serves: bool = True, starts: bool = False) -> Config:
    """The settings of this environment; ends the command with 78 if they can't be used.

    Not `serves`: a command that opens no port is content with any HOST. `starts`: it must do for `secondunit run`.
    """
    from secondunit.daemon.config.loader import BadConfig

    try:
        return sought(os.environ, serves=serves, starts=starts)
    except BadConfig as error:
        output.say(str(error), err=True)
        sys.exit(78)


def sought(
    environ: Mapping[str, str], *, default_file: Path | None = None, serves: bool = True, starts: bool = False
) -> Config:
    """The settings of this environment, or BadConfig.

    Where nothing names a DATA_DIR and there is no ./data, those of the service on this machine, if there is one.
    """
    from secondunit.daemon.config.loader import DEFAULT_FILE, SERVICE_DATA, load

    file = default_file or DEFAULT_FILE
    found = load(environ, default_file=file, serves=serves, starts=starts)
    here = found.settings.data_dir
    if found.origins.get("data_dir", "default") == "default" and not here.exists() and SERVICE_DATA.is_dir():
        click.echo(f"no ./data here: this is about the service on {SERVICE_DATA}", err=True)
        environ = {**environ, "STATE_DIRECTORY": str(SERVICE_DATA)}
        return load(environ, default_file=file, serves=serves, starts=starts)
    return found


def how_to_start(data_dir: Path) -> str:
    """The command that starts the daemon of this folder."""
    from secondunit.daemon.config.loader import SERVICE_DATA

    return "`systemctl start secondunit`" if data_dir == SERVICE_DATA else "`secondunit run`"
