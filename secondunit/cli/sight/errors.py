"""Command `secondunit errors`: what failed, in groups."""

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json, without_daemon
from secondunit.cli.reference.completion import job_types

WINDOWS = ("1h", "6h", "24h", "7d")
COLUMNS = ("COUNT", "TYPE", "CLASS", "ERROR", "LAST", "JOB", "MESSAGE")
LONGEST = 80


@click.command()
@click.option("--window", type=click.Choice(WINDOWS), default="24h", show_default=True, help="Look back so far.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", shell_complete=job_types, help="Only these; may be given again."
)
@as_json
def errors(window: str, types: tuple[str, ...], as_json: bool) -> None:
    """List what failed for good: messages that differ in ids, paths, numbers and times only are one group.

    Without a daemon, as the database has it.
    """
    query = [("window", window), *(("type", type) for type in types)]
    found = ask(
        lambda client: client.call("GET", "/api/errors", query=query),
        lambda settings: without_daemon().errors(settings.database, window, types),
    )
    if as_json:
        output.printed(found)
        return
    rows = [
        (
            str(one["count"]),
            one["type"],
            one["class"],
            one["errorType"],
            one["lastAt"],
            one["jobIds"][0],
            one["message"],
        )
        for one in found["groups"]
    ]
    if found["truncated"]:
        output.say("there are older ones, which are not counted here")
    output.columns([COLUMNS, *((*row[:-1], row[-1][:LONGEST]) for row in rows)])
