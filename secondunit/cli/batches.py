"""Command group `secondunit batches`: jobs that were submitted together, looked at, cancelled and retried as one."""

from typing import Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.batch import show as shown
from secondunit.cli.client import ask, listed
from secondunit.cli.jobs import as_json


@click.group()
def batches() -> None:
    """List, show, cancel and retry batches."""


@batches.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="So many at a time.")
@click.option("--cursor", help="Where the page before said that this one begins.")
@as_json
def list_batches(limit: int, cursor: str | None, as_json: bool) -> None:
    """List batches, newest first: how the jobs of each stand."""
    query: dict[str, Any] = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
    found = ask(lambda client: client.call("GET", "/api/batches", query=query))
    if as_json:
        output.printed(found)
        return
    rows = [("BATCH", "NAME", "JOBS", "SUBMITTED", "FINISHED", "STAND")]
    for one in found["batches"]:
        standing = ", ".join(f"{n} {status}" for status, n in one["byStatus"].items())
        ends = one["finishedAt"] or "-"
        rows.append((one["batchId"], one["name"] or "-", str(one["total"]), one["createdAt"], ends, standing))
    output.columns(rows)
    if found["nextCursor"]:
        click.echo(f"more: --cursor {found['nextCursor']}")


@batches.command()
@click.argument("batch_id")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="List so many at most.")
@as_json
def show(batch_id: str, limit: int, as_json: bool) -> None:
    """Show how the jobs of a batch stand, newest first."""
    found = ask(lambda client: listed(client, _path(batch_id), (), limit))
    output.printed(found) if as_json else shown(found)


@batches.command()
@click.argument("batch_id")
@as_json
def cancel(batch_id: str, as_json: bool) -> None:
    """Cancel what is left of a batch; what runs is stopped first."""
    _told(ask(lambda client: client.call("DELETE", _path(batch_id))), "cancelled", as_json)


@batches.command()
@click.argument("batch_id")
@as_json
def retry(batch_id: str, as_json: bool) -> None:
    """Queue what failed of a batch again, with all that failed for its sake."""
    _told(ask(lambda client: client.call("POST", f"{_path(batch_id)}/retry")), "queued again", as_json)


def _path(batch_id: str) -> str:
    return f"/api/batches/{quote(batch_id, safe='')}"


def _told(bulk: Any, what: str, as_json: bool) -> None:
    if as_json:
        output.printed(bulk)
    else:
        output.moved(bulk, what)
