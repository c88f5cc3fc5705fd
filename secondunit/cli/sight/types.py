"""Command group `secondunit types`: the job types and their limits."""

from collections.abc import Mapping
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json
from secondunit.cli.reference.completion import job_types

COLUMNS = ("TYPE", "SLOTS", "RUNNING", "QUEUED", "PAUSED", "TIMEOUT", "STALL", "RETRIES", "SOURCE", "WORKERS")
MOST_NAMED = 3


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def types(ctx: click.Context, as_json: bool) -> None:
    """List the job types: their limits, and what runs and waits of them."""
    if ctx.invoked_subcommand is not None:
        return
    found = ask(lambda client: client.call("GET", "/api/types"))
    output.printed(found) if as_json else output.columns([COLUMNS, *map(_row, found["types"])])


@types.command()
@click.argument("type", shell_complete=job_types)
@click.argument("slots")
@as_json
def limit(type: str, slots: str, as_json: bool) -> None:
    """Let SLOTS jobs of a type run at once, from now on and over restarts; `default`: as the settings say."""
    if slots != "default" and not (slots.isascii() and slots.isdecimal()):
        raise click.UsageError(f"SLOTS is {slots}; allowed: a whole number from 1 on, or default")
    body = {"concurrency": None if slots == "default" else int(slots)}
    found = ask(lambda client: client.call("PATCH", f"/api/types/{type}", body=body))
    if as_json:
        output.printed(found)
    else:
        output.say(f"{found['concurrency']} {found['type']} jobs run at once")


def _row(type: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [str(type[name]) for name in ("concurrency", "running", "queued")]
    times = [f"{type[name]:g} s" for name in ("timeoutSeconds", "stallSeconds")]
    retries = f"{type['retry']['maxRetries']} {type['retry']['backoff']}"
    return type["type"], *numbers, "paused" if type["paused"] else "", *times, retries, type["source"], _workers(type)


def _workers(type: Mapping[str, Any]) -> str:
    """The remote workers that were last heard of, by name, with when."""
    seen = [f"{one['name']} ({'waits' if one['waiting'] else one['lastSeenAt']})" for one in type["workers"]]
    return ", ".join(seen[:MOST_NAMED]) + (f" +{len(seen) - MOST_NAMED}" if len(seen) > MOST_NAMED else "")
