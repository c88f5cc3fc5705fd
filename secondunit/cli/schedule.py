"""Command group `secondunit schedule`: how schedules stand, a run by hand, pause and resume."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.client import ask, fail

as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API gave.")


@click.group()
def schedule() -> None:
    """List the schedules of the settings' file; run, pause and resume them."""


@schedule.command("list")
@as_json
def list_schedules(as_json: bool) -> None:
    """List all schedules: when each comes next, and how its last job did."""
    found = ask(lambda client: client.call("GET", "/api/schedules"))
    if as_json:
        output.printed(found)
        return
    rows = [("NAME", "CRON", "TIMEZONE", "NEXT", "LAST", "JOB", "STATUS", "FAILURES", "WHY")]
    for one in found["schedules"]:
        following = "paused" if one["paused"] else one["nextAt"] or "never"
        last = [one[name] or "-" for name in ("lastAt", "lastJobId", "lastStatus")]
        rows.append(
            (one["name"], one["cron"], one["timezone"], following, *last, str(one["failuresInRow"]), one["why"] or "")
        )
    output.columns(rows, status=6)


@schedule.command("next")
@click.argument("name")
@click.option("-n", "number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many times.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def next_times(name: str, number: int, as_json: bool) -> None:
    """Print the next times of a schedule, by its own clock."""
    from secondunit.daemon.cron import Cron, upcoming, zone_of
    from secondunit.daemon.formats import instant

    found = ask(lambda client: client.call("GET", "/api/schedules"))
    [one] = [one for one in found["schedules"] if one["name"] == name] or [None]
    if one is None:
        fail(f"no schedule is called {name!r}; `secondunit schedule list` names them all")
    zone = zone_of(one["timezone"])
    times = upcoming(Cron(one["cron"], zone), datetime.now(UTC), number)
    if as_json:
        output.printed({"name": name, "paused": one["paused"], "next": [instant(at) for at in times]})
        return
    if one["paused"]:
        output.say(f"{name} is paused ({one['why']}); it would come", err=True)
    for at in times:
        click.echo(at.astimezone(zone).isoformat())


@schedule.command("run")
@click.argument("name")
@as_json
def run_now(name: str, as_json: bool) -> None:
    """Submit a job of the schedule now, paused or not, and print its id."""
    job = _call(name, "run")
    output.printed(job) if as_json else click.echo(job["jobId"])


@schedule.command()
@click.argument("name")
@as_json
def pause(name: str, as_json: bool) -> None:
    """Have the schedule come no more, until it is resumed."""
    _told(_call(name, "pause"), as_json)


@schedule.command()
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """Have the schedule come again from now on, and count its failures from 0."""
    _told(_call(name, "resume"), as_json)


def _call(name: str, verb: str) -> Any:
    return ask(lambda client: client.call("POST", f"/api/schedules/{quote(name, safe='')}/{verb}"))


def _told(one: Any, as_json: bool) -> None:
    if as_json:
        output.printed(one)
    elif one["paused"]:
        output.say(f"{one['name']} is paused: {one['why']}")
    else:
        output.say(f"{one['name']} comes next at {one['nextAt']}")
