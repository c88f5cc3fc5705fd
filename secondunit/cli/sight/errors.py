"""Command `secondunit errors`: what failed, in groups."""

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json

WINDOWS = ("1h", "6h", "24h", "7d")
COLUMNS = ("COUNT", "TYPE", "CLASS", "ERROR", "LAST", "JOB", "MESSAGE")
LONGEST = 80


@click.command()
@click.option("--window", type=click.Choice(WINDOWS), default="24h", show_default=True)
@as_json
def errors(window: str, as_json: bool) -> None:
    """List what failed for good: messages that differ in ids, paths, numbers and times only are one group."""
    found = ask(lambda client: client.call("GET", "/api/errors", query={"window": window}))
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
