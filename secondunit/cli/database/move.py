"""Command `secondunit move`: a whole queue goes from one database to another, SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import fail
from secondunit.cli.host.account import act_as_owner, not_yours

if TYPE_CHECKING:
    from collections.abc import Callable

    from secondunit.daemon.config.settings import Database
    from secondunit.daemon.moving import MovedQueue

TOLD_EVERY_SECONDS = 2
# What copying and comparing take, as a multiple of what reading once took: measured with 1,000,000 ended jobs.
TIMES_READING = {"sqlite": 3, "postgresql": 6}


def _database(_ctx: click.Context, _option: click.Parameter, url: str) -> Database:
    """What a URL means, by the rules of QUEUE_URL."""
    from secondunit.daemon.config.settings import database_of
    from secondunit.daemon.moving import struck

    try:
        return database_of(url)
    except ValueError as error:
        raise click.BadParameter(
            f"{struck(str(error), url)}; sqlite:///PATH or postgresql://USER@HOST/DATABASE"
        ) from None


@click.command()
@click.option(
    "--from", "source", metavar="URL", callback=_database, required=True,
    help="The queue that is moved: sqlite:///PATH or postgresql://USER@HOST/DATABASE. It stays as it is.",
)  # fmt: skip
@click.option(
    "--to", "target", metavar="URL", callback=_database, required=True,
    help="Where to: a file that is not there yet, or a database with nothing in it.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look at both, and say what would be moved and how long it takes.")
@click.option("--replace-nul", is_flag=True, help="Put U+FFFD in the place of each NUL, which PostgreSQL refuses.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def move(source: Database, target: Database, dry_run: bool, replace_nul: bool, as_json: bool) -> None:
    """Move a queue to another database: jobs with all that hangs on them, events, keys, schedules, statistics.

    No daemon may run on either side. The target is compared with the source, row by row, before it counts; whatever
    goes wrong before, nothing of it is there. Files of DATA_DIR (uploads, media) are not in a database, and stay.
    """
    began = time.monotonic()
    moved = _moved(source, target, dry_run, replace_nul)
    seconds = time.monotonic() - began
    if as_json:
        output.printed(_told(moved, source, target, seconds))
    else:
        _show(moved, source, target, seconds)


def _moved(source: Database, target: Database, dry_run: bool, replace_nul: bool) -> MovedQueue:
    from secondunit.daemon.moving import move as go
    from secondunit.daemon.moving import struck
    from secondunit.queue.errors import QueueError, StoreBroken

    os.umask(0o077)
    files = [database.path for database in (source, target) if database.server is None]
    for path in files:
        act_as_owner(path.parent)
    try:
        return go(source, target, _progress(), dry=dry_run, replace_nul=replace_nul)
    except QueueError as error:
        remedy = f"; {error.remedy}" if isinstance(error, StoreBroken) and error.remedy else ""
        fail(struck(f"not moved: {error}{remedy}", source.url, target.url))
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        fail("not moved: the extra postgres is not installed (`make postgres`, or pip install 'secondunit[postgres]')")
    except PermissionError as error:
        fail(f"not moved: {error}; {'; '.join(not_yours(path.parent) for path in files)}")
    except OSError as error:
        fail(
            f"not moved: {error.filename or target}: {error.strerror}; see that this place is there, and can be written"
        )
    except KeyboardInterrupt:
        output.say("not moved: stopped; nothing was written", err=True)
        sys.exit(130)


def _progress() -> Callable[[str, str, int], None]:
    """Tells now and again, on stderr, how far it is."""
    told_at = time.monotonic()

    def told(doing: str, table: str, rows: int) -> None:
        nonlocal told_at
        if (now := time.monotonic()) - told_at >= TOLD_EVERY_SECONDS:
            told_at = now
            output.say(f"{doing} {table}: {rows:,} rows", err=True)

    return told


def _told(moved: MovedQueue, source: Database, target: Database, seconds: float) -> dict[str, Any]:
    tables = []
    for name, tally in moved.found.tables.items():
        there = moved.there.tables[name] if moved.there else None
        tables.append({
            "table": name,
            "bytes": tally.size,
            "rows": {"from": tally.rows, "to": there and there.rows},
            "digest": {"from": tally.digest, "to": there and there.digest},
        })  # fmt: skip
    return {
        "from": str(source),
        "to": str(target),
        "moved": moved.there is not None,
        "databaseBytes": moved.size,
        "seconds": round(seconds, 1),
        "secondsToMove": None if moved.there else round(_estimate(target, seconds), 1),
        "tables": tables,
        "counters": dict(moved.found.counters),
    }


def _show(moved: MovedQueue, source: Database, target: Database, seconds: float) -> None:
    rows = [("TABLE", "ROWS", "BYTES", "DIGEST")]
    found = moved.found.tables.items()
    rows += [(name, f"{one.rows:,}", f"{one.size:,}", one.digest) for name, one in found if one.rows]
    output.columns(rows)
    n = moved.found.rows
    if moved.there is None:
        click.echo(f"nothing was written: {n:,} rows would be moved from {source} ({moved.size:,} bytes) to {target}")
        click.echo(f"that takes about {_estimate(target, seconds):.0f} s{_free(target)}")
        return
    click.echo(f"{n:,} rows are in {target} now, the same as in {source}, in {seconds:.0f} s; the source is as it was")
    click.echo(f"next: set QUEUE_URL to the URL of --to, start the daemon, and start none on {source} any more")


def _estimate(target: Database, seconds: float) -> float:
    return seconds * TIMES_READING["postgresql" if target.server else "sqlite"]


def _free(target: Database) -> str:
    from secondunit.daemon.moving import room_for

    free = room_for(target)
    return "" if free is None else f"; {free:,} bytes are free there"
