"""Command `secondunit system`: what the daemon runs on, and how that stands."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json


@click.command()
@as_json
def system(as_json: bool) -> None:
    """Show versions and their ages, disks, the database, the last backup, lag, memory and the sandbox."""
    found = ask(lambda client: client.call("GET", "/api/system"))
    output.printed(found) if as_json else output.columns([("WHAT", "FOUND"), *_rows(found)])


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "secondunit", found["version"]
    for one in found["programs"]:
        age = "" if one["ageDays"] is None else f", {one['ageDays']} days old"
        yield one["name"], f"{one['version']}{age}" if one["version"] else "missing"
    for disk in found["disks"]:
        yield f"disk {disk['name']}", disk["fault"] or f"{_mib(disk['freeBytes'])} free"
    yield "database", f"{_mib(found['database']['sizeBytes'])}, log {_mib(found['database']['walBytes'])}"
    backup = found["backup"]
    checked = (
        "" if backup is None else f", verified at {backup['verifiedAt']}" if backup["verifiedAt"] else ", not verified"
    )
    yield "last backup", f"{backup['madeAt']} {backup['path']}{checked}" if backup else "none is known"
    lag = found["loopLag"]
    yield "loop lag", f"{lag['lastSeconds']} s, at most {lag['largestSeconds']} s within a minute"
    yield "memory", f"{_mib(found['memory']['residentBytes'])}, at most {_mib(found['memory']['peakBytes'])}"
    yield "sandbox", ", ".join(f"{name} {value}" for name, value in found["sandbox"].items())
    yield "unit's exposure", "unknown" if found["exposure"] is None else f"{found['exposure']} of 10"


def _mib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**20:.0f} MiB"
