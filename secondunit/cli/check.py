"""`secondunit check`: for a deployment script."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, ask

if TYPE_CHECKING:
    from secondunit.daemon.config.settings import Settings

NOTHING_RUNS = {"safe": True, "running": [], "seconds": 0, "daemon": False}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Say whether it is safe to restart now: exit 0 if no job runs, 1 with what runs and how long it may take.

    A restart loses nothing either way: jobs that outlast DRAIN_SECONDS go back to the queue and start again.
    """
    found = ask(lambda client: client.call("GET", "/api/admin/check"), _without)
    if as_json:
        output.printed({"daemon": True, **found})
    elif found["safe"]:
        click.echo("safe: no job runs" if found.get("daemon", True) else "safe: no daemon runs")
    else:
        for job in found["running"]:
            click.echo(_line(job))
        left = found["seconds"]
        click.echo("not safe: " + ("it can't be told how long they take" if left is None else f"about {left} s to go"))
    if not found["safe"]:
        sys.exit(FAILED)


def _line(job: dict[str, Any]) -> str:
    left = job["remainingSeconds"]
    guess = "" if left is None else f", about {left} s to go"
    paid = f"; waits for a paid answer: {', '.join(job['paidSteps'])}" if job["paidSteps"] else ""
    return f"{job['jobId']}  {job['type']}  {job['progress']:g} % after {job['elapsedSeconds']} s{guess}{paid}"


async def _without(_: Settings) -> dict[str, Any]:
    return NOTHING_RUNS
