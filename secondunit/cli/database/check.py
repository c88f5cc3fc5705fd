"""Command `secondunit check`: the pre-restart gate of deployment scripts; what it can't know it never calls safe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, UNREADABLE, Client, DaemonRefused, ask

if TYPE_CHECKING:
    from secondunit.daemon.config.settings import Settings

UNKNOWN = 3
NO_DAEMON: dict[str, Any] = {"running": [], "seconds": None, "daemon": False}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Say whether it is safe to restart now: exit 0 if no job runs here, 1 with what runs and how long it may take.

    Exit 3 when it can't be known, since no queue is there or the daemon does not answer. A restart loses nothing either
    way: jobs that outlast DRAIN_SECONDS go back to the queue and start again.
    """
    found = ask(_asked, _without, lambda refused: {**_unknown(refused), "daemon": True})
    if as_json:
        output.printed(found)
    else:
        for job in found["running"]:
            output.say(_line(job))
        output.say(_verdict(found))
    if not found["safe"]:
        sys.exit(UNKNOWN if found["safe"] is None else FAILED)


def _verdict(found: dict[str, Any]) -> str:
    if "why" in found:
        return str(found["why"])
    if found["safe"]:
        return "safe: no job runs"
    left = found["seconds"]
    return "not safe: " + ("it can't be told how long they take" if left is None else f"about {left} s to go")


def _line(job: dict[str, Any]) -> str:
    left = job["remainingSeconds"]
    guess = "" if left is None else f", about {left} s to go"
    paid = f"; waits for a paid answer: {', '.join(job['paidSteps'])}" if job["paidSteps"] else ""
    return f"{job['jobId']}  {job['type']}  {job['progress']:g} % after {job['elapsedSeconds']} s{guess}{paid}"


async def _asked(client: Client) -> dict[str, Any]:
    found = await client.call("GET", "/api/admin/check")
    if not isinstance(found, dict) or not {"safe", "running", "seconds"} <= found.keys():
        raise DaemonRefused(UNREADABLE)
    return {"daemon": True, **found}


def _unknown(refused: DaemonRefused) -> dict[str, Any]:
    return {"safe": None, **NO_DAEMON, "why": f"can't be known: {refused}"}


async def _without(settings: Settings) -> dict[str, Any]:
    """What the database says where no daemon answers."""
    from secondunit.cli import offline

    try:
        running = (await offline.running(settings.database, settings.box))["jobs"]
    except DaemonRefused as refused:
        return _unknown(refused)
    if running:
        named = ", ".join(job["jobId"] for job in running)
        why = f"not safe, recover first: no daemon runs, and these are recorded as running: {named};"
        why += " `secondunit recover` queues them again, as a daemon does that starts"
        return {"safe": False, **NO_DAEMON, "why": why}
    return {"safe": True, **NO_DAEMON, "why": "safe: no daemon runs, and no job is recorded as running"}
