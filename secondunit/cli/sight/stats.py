"""Command `secondunit stats`: what happened in a window."""

from collections.abc import Mapping
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json, without_daemon
from secondunit.cli.reference.completion import job_types
from secondunit.cli.sight.errors import WINDOWS

FIELDS = ("submitted", "started", "completed", "partial", "failed", "cancelled", "retried", "queued", "running")
SPANS = ("waitP50", "waitP95", "runP50", "runP95")


@click.command()
@click.option("--window", type=click.Choice(WINDOWS), default="24h", show_default=True, help="Look back so far.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", shell_complete=job_types, help="Only these; may be given again."
)
@as_json
def stats(window: str, types: tuple[str, ...], as_json: bool) -> None:
    """Show what happened in a window: how much was submitted and ended, how long jobs waited and ran (seconds).

    Without a daemon, as the database has it.
    """
    query = [("window", window), *(("type", type) for type in types)]
    found = ask(
        lambda client: client.call("GET", "/api/stats", query=query),
        lambda settings: without_daemon().stats(settings.database, window, types),
    )
    if as_json:
        output.printed(found)
        return
    head = ("FROM", *(name.upper() for name in (*FIELDS, *SPANS)))
    output.columns([head, *(_row(point) for point in found["points"] if any(point[name] for name in FIELDS))])


def _row(point: Mapping[str, Any]) -> tuple[str, ...]:
    return point["at"], *("" if point[name] is None else f"{point[name]:g}" for name in (*FIELDS, *SPANS))
