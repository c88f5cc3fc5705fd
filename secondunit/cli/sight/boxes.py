"""Command group `secondunit boxes`: the daemons that share the queue, and the drain of one."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json

COLUMNS = ("BOX", "STATE", "RUNNING", "SEEN", "POLLER", "VERSION", "ADDRESS", "BOOT", "TYPES")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def boxes(ctx: click.Context, as_json: bool) -> None:
    """List the daemons that share the queue: how each is, what it runs and serves."""
    if ctx.invoked_subcommand is not None:
        return
    found = ask(lambda client: client.call("GET", "/api/boxes"))
    output.printed(found) if as_json else output.columns([COLUMNS, *map(_row, found["boxes"])])


@boxes.command()
@click.argument("name")
@as_json
def drain(name: str, as_json: bool) -> None:
    """Have a box start no more jobs until it is resumed; what runs there ends, and its API serves."""
    _told(_call(name, "drain"), as_json, "once it is back it starts nothing, until it is resumed")


@boxes.command()
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """Have a box that was drained start jobs again."""
    _told(_call(name, "resume"), as_json, "once it is back it starts jobs")


def _call(name: str, verb: str) -> Any:
    return ask(lambda client: client.call("POST", f"/api/boxes/{quote(name, safe='')}/{verb}"))


def _told(box: Mapping[str, Any], as_json: bool, later: str) -> None:
    if as_json:
        output.printed(box)
    elif box["state"] == "gone":
        output.say(f"{box['name']} is gone; {later}")
    else:
        output.say(f"{box['name']} is {box['state']}; {box['running']} of at most {box['capacity']} jobs run there")


def _row(box: Mapping[str, Any]) -> tuple[str, ...]:
    runs, poller = f"{box['running']} of {box['capacity']}", "polls" if box["poller"] else ""
    rest = [box[name] for name in ("version", "address", "boot")]
    return box["name"], box["state"], runs, box["lastSeenAt"], poller, *rest, ", ".join(box["types"])
