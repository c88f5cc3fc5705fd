"""Command `secondunit restore`: a backup takes the place of the database."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from secondunit.cli.client import fail
from secondunit.cli.host.account import act_as_owner


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, yes: bool) -> None:
    """Put a backup in the place of the database; the daemon must be stopped, and what stood there is kept aside.

    Nothing that was issued after the backup can write any more: leases, event ids. Jobs that were done since then
    run again; jobs submitted since then are gone.
    """
    from secondunit.cli.config import how_to_start, loaded
    from secondunit.daemon.process.lock import Locked
    from secondunit.daemon.wiring.database import check, locked
    from secondunit.daemon.wiring.database import restore as put_back
    from secondunit.queue.errors import QueueError

    database = loaded(serves=False).settings.database
    file = file.absolute()
    os.umask(0o077)
    act_as_owner(database.path.parent)
    try:
        found = check(file)
        with locked(database):  # held while it asks, so that what was agreed to is what is done
            if not yes:
                click.confirm(f"Put {file} ({found.jobs} jobs) in the place of {database}?", abort=True)
            aside = put_back(file, database, datetime.now(UTC))
    except Locked as error:
        fail(f"stop the daemon first: {error}")
    except (QueueError, OSError) as error:
        fail(f"nothing was restored: {error}")
    click.echo(
        f"{database} is the backup now, with {found.jobs} jobs" + (f"; what stood there is {aside}" if aside else "")
    )
    click.echo(f"next: start the daemon, {how_to_start(database.path.parent)}; it queues what was running then")
