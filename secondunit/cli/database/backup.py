"""Command `secondunit backup`: a hot copy of the database, by the daemon or, where none runs, under its lock."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import ask

if TYPE_CHECKING:
    from secondunit.daemon.config.settings import Settings


@click.command()
@click.argument("target", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option(
    "--keep", type=click.IntRange(1, 10_000), help="In a folder: keep so many, the newest, of those made here."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(target: Path, keep: int | None, as_json: bool) -> None:
    """Copy the database to FILE, or into DIR under a name of its time; whole and checked, or not at all.

    It may be in use. Media and uploads are not in it. `secondunit restore` is the way back.
    """
    target = target.absolute()
    os.umask(0o077)

    async def without(settings: Settings) -> Any:
        from secondunit.cli import offline  # the store and what it needs, for the case that no daemon runs

        return await offline.back_up(settings.database, target, keep)

    body = {"path": str(target), "keep": keep}
    made = ask(lambda client: client.call("POST", "/api/admin/backup", body=body), without)
    if as_json:
        output.printed(made)
    else:
        click.echo(f"{made['path']}: {made['jobs']} jobs, {made['bytes']} bytes")
