"""Command `secondunit config`: what the settings are, and whether they can be used."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from secondunit.cli import output
from secondunit.daemon.process.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secondunit.daemon.config.loader import Config
    from secondunit.daemon.config.settings import Settings


@click.group()
def config() -> None:
    """Show, check or write the settings that `secondunit run` would use here."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: {NAME: {value, origin, meaning, allowed, default}}.")
def show(as_json: bool) -> None:
    """Print every setting with its value, where that comes from, and what it means; secrets as ***."""
    from secondunit.cli.reference.meanings import meanings
    from secondunit.daemon.config.loader import shown
    from secondunit.daemon.diagnosis.report import origin_of

    found = loaded()
    values, known = shown(found.settings), meanings()
    rows = {
        name: {
            "value": value,
            "origin": origin_of(name.lower(), found.origins),
            "meaning": known[name.lower()].text,
            "allowed": known[name.lower()].allowed,
            "default": known[name.lower()].default,
        }
        for name, value in values.items()
    }
    if as_json:
        output.printed(rows)
        return
    width = max(map(len, rows))
    for name, row in rows.items():
        value = row["value"]
        text = value if isinstance(value, str) else json.dumps(value)
        click.echo(f"{name:{width}}  {visible(text)}  " + click.style(f"({row['origin']})", dim=True))
        click.echo(click.style(f"{'':{width}}  {row['meaning']}", dim=True))


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
def init(file: Path | None) -> None:
    """Write a commented file with every setting to FILE, else to where the daemon reads it; "-" prints it.

    A file that is there is never overwritten.
    """
    from secondunit.cli.reference.config_file import config_file
    from secondunit.daemon.config.loader import DEFAULT_FILE

    path = file or Path(os.environ.get("SECONDUNIT_CONFIG") or DEFAULT_FILE)
    text = config_file()
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _fail(f"{path} is there already, and stays as it is: name another FILE, or - to print it")
    except OSError as error:
        _fail(f"{path} can't be written ({error.strerror}): name another FILE, or put `sudo` in front")
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(text)
        if path == DEFAULT_FILE:
            _let_the_service_read(written.fileno())
    read = "" if path == DEFAULT_FILE else f"; it is read where SECONDUNIT_CONFIG={path} is set"
    output.say(f"wrote {path}{read}. Take the # away from what you set, then `secondunit config check`")


def _let_the_service_read(handle: int) -> None:
    """As `service install` has it: the group of the service's account reads the file, where there is one."""
    from secondunit.cli.host.account import group_of_service

    group = group_of_service()
    if group is not None:
        os.fchown(handle, -1, group)
        os.fchmod(handle, 0o640)


def _fail(message: str) -> NoReturn:
    """End the command: it failed."""
    output.say(message, err=True)
    sys.exit(1)


@config.command()
def check() -> None:
    """Say whether the daemon would start with these settings: 0, or 78 and every fault."""
    found = loaded(starts=True)
    for warning in found.warnings:
        output.say(f"warning: {warning}", err=True)
    _check_types(found.settings)
    _check_start(found.settings)
    click.echo("the settings are fine")


def _check_start(settings: Settings) -> None:
    """What is cheap to try: accounts to build under, the port, the sandbox that is required."""
    from secondunit.cli.host.start_faults import faults

    if found := faults(settings):
        output.say("\n".join(found), err=True)
        sys.exit(78)


def _check_types(settings: Settings) -> None:
    """The job types that there are, of plugins and [remote_types] too, and what TYPES and schedules want of them."""
    from secondunit.daemon.config.loader import BadConfig
    from secondunit.daemon.wiring.schedules import check_job_types

    try:
        warnings = check_job_types(settings)
    except BadConfig as error:
        output.say(str(error), err=True)
        sys.exit(78)
    for warning in warnings:
        output.say(f"warning: {warning}", err=True)


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
    from secondunit.daemon.config.surroundings import surroundings

    return surroundings(data_dir, os.environ).start
