"""Command `secondunit backend`: how active mode stands, and what came of its last polls."""

import click

from secondunit.cli import output
from secondunit.cli.client import ask
from secondunit.cli.jobs import as_json

COLUMNS = ("POLLED", "OUTCOME", "LISTED", "TAKEN", "WHY")


@click.command()
@as_json
def backend(as_json: bool) -> None:
    """Show what the backend listed, what was taken on, refused and delivered, and the last polls."""
    found = ask(lambda client: client.call("GET", "/api/backend"))
    if as_json:
        output.printed(found)
        return
    if not found["polled"]:
        where = found["url"] or "no backend is configured"
        output.say(f"nothing is polled ({found['mode']} mode): {found['idle'] or where}")
        return
    output.say(
        f"{found['url']}: {found['found']} listed, {len(found['live'])} in hand, {found['coolingDown']} left alone for"
        f" now; {found['taken']} taken on and {found['delivered']} delivered since the start"
    )
    if found["trouble"]:
        output.say(f"no list since {found['downSince']}, asked again at {found['nextPollAt']}: {found['trouble']}")
    for one in found["quarantined"]:
        output.say(f"{one['analysisId']} was refused here, and is left alone until {one['until']}")
    names = ("at", "outcome", "found", "taken", "why")
    rows = [["" if one[name] is None else str(one[name]) for name in names] for one in found["polls"]]
    output.columns([COLUMNS, *rows])
