"""`secondunit config`: what the settings are, and whether they can be used."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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
        click.echo(f"{name:{width}}  {text}  " + click.style(f"({origin})", dim=True))


@config.command()
def check() -> None:
    """Say whether the daemon would start with these settings: 0, or 78 and every fault."""
    for warning in loaded().warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("the settings are fine")


def loaded() -> Config:
    """The settings of this environment; ends the command with 78 if they can't be used."""
    from secondunit.daemon.config.loader import BadConfig, load

    try:
        return load(os.environ)
    except BadConfig as error:
        click.echo(str(error), err=True)
        sys.exit(78)
