"""`secondunit restore`."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from secondunit.cli.client import fail


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, yes: bool) -> None:
    """Put a backup in the place of the database; the daemon must be stopped, and what stood there is kept aside.

    Nothing that was issued after the backup can write any more: leases, event ids. Jobs that were done since then
    run again; jobs submitted since then are gone.
    """
    from secondunit.cli.config import loaded
    from secondunit.daemon.process.lock import Locked, box_lock
    from secondunit.queue.errors import QueueError
    from secondunit.queue.stores.sqlite.backup import check
    from secondunit.queue.stores.sqlite.backup import restore as put_back

    database = loaded().settings.database.path
    os.umask(0o077)
    try:
        found = check(file)
        database.parent.mkdir(parents=True, exist_ok=True)
        aside = database.with_name(f"{database.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        kept = database.exists()
        with box_lock(database):  # held while it asks, so that what was agreed to is what is done
            if not yes:
                click.confirm(f"Put {file} ({found.jobs} jobs) in the place of {database}?", abort=True)
            put_back(file, database, aside)
    except Locked as error:
        fail(f"stop the daemon first: {error}")
    except (QueueError, OSError) as error:
        fail(f"nothing was restored: {error}")
    click.echo(
        f"{database} is the backup now, with {found.jobs} jobs" + (f"; what stood there is {aside}" if kept else "")
    )
    click.echo(
        "next: start the daemon (`secondunit run`, or systemctl start secondunit); it queues what was running then"
    )
