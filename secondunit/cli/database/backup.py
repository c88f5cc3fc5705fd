"""Command `secondunit backup`: a hot copy of the database, by the daemon or, where none runs, under its lock."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import ask, fail
from secondunit.cli.host.account import act_as_owner

if TYPE_CHECKING:
    from secondunit.daemon.config.settings import Settings


@click.command()
@click.argument("target", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option(
    "--keep", type=click.IntRange(1, 10_000), help="In a folder: keep so many, the newest, of those made here."
)
@click.option(
    "--verify", is_flag=True, help="Make none: read FILE, or the newest in DIR, again, and note that it is whole."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(target: Path, keep: int | None, verify: bool, as_json: bool) -> None:
    """Copy the database to FILE, or into DIR under a name of its time; whole and checked, or not at all.

    It may be in use. Media and uploads are not in it. `secondunit restore` is the way back. That a copy was checked
    stands beside it, in NAME.verified.
    """
    target = target.absolute()
    os.umask(0o077)
    if verify:
        _verified(target, as_json)
        return

    async def without(settings: Settings) -> Any:
        from secondunit.cli import offline  # the store and what it needs, for the case that no daemon runs

        return await offline.back_up(settings.database, target, keep)

    body = {"path": str(target), "keep": keep}
    made = ask(lambda client: client.call("POST", "/api/admin/backup", body=body, long=True), without)
    if as_json:
        output.printed(made)
    else:
        click.echo(f"{made['path']}: {made['jobs']} jobs, {made['bytes']} bytes")


def _verified(target: Path, as_json: bool) -> None:
    from secondunit.daemon.files.backups import newest, note_verified
    from secondunit.daemon.wiring.database import check
    from secondunit.queue.errors import QueueError

    act_as_owner(target if target.is_dir() else target.parent)
    try:
        copy = newest(target)
        if copy is None:
            fail(f"there is no copy at {target}: `secondunit backup {target}` makes one")
        found = check(copy.path)
        note_verified(copy.path, datetime.now(UTC))
    except (QueueError, OSError) as error:
        fail(f"{target} can't be restored from: {error}")
    if as_json:
        output.printed({"path": str(found.path), "bytes": found.size, "jobs": found.jobs})
    else:
        click.echo(f"{found.path} is whole: {found.jobs} jobs, {found.size} bytes")
