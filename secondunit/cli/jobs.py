"""`secondunit jobs`: the queue as it stands, and moves of single jobs."""

from typing import Any

import click

from secondunit.cli import screen
from secondunit.cli.client import Client, ask

STATUSES = ("queued", "running", "completed", "partial", "failed", "cancelled")
as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API gave.")


@click.group()
def jobs() -> None:
    """List, show, cancel, retry and follow jobs."""


@jobs.command("list")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be given again.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these; may be given again.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--cursor", type=click.IntRange(1), help="Where the page before said that this one begins.")
@as_json
def list_jobs(status: tuple[str, ...], types: tuple[str, ...], limit: int, cursor: int | None, as_json: bool) -> None:
    """List jobs, newest first; without a daemon, as the database has them."""
    query: list[tuple[str, str | int]] = [("limit", limit)]
    query += [("status", word) for word in status]
    query += [("type", word) for word in types]
    if cursor is not None:
        query.append(("cursor", cursor))
    found = ask(
        lambda client: client.call("GET", "/api/jobs", query=query),
        lambda database: _offline().find(database, status, types, cursor, limit),
    )
    screen.printed(found) if as_json else screen.page(found)


@jobs.command()
@click.argument("job_id")
@as_json
def show(job_id: str, as_json: bool) -> None:
    """Show all there is to know of a job; without a daemon, as the database has it."""
    job = ask(
        lambda client: client.call("GET", f"/api/jobs/{job_id}"), lambda database: _offline().show(database, job_id)
    )
    screen.printed(job) if as_json else screen.detail(job)


@jobs.command()
@click.argument("job_id")
@as_json
def cancel(job_id: str, as_json: bool) -> None:
    """Cancel a job; a running one is stopped first."""
    _told(ask(lambda client: client.call("DELETE", f"/api/jobs/{job_id}")), as_json)


@jobs.command()
@click.argument("job_id")
@as_json
def retry(job_id: str, as_json: bool) -> None:
    """Queue an ended job again, with fresh attempts."""
    _told(ask(lambda client: client.call("POST", f"/api/jobs/{job_id}/retry")), as_json)


@jobs.command()
@click.argument("job_id", required=False)
@click.option("--type", "type_", metavar="TYPE", help="Only jobs of this type.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(job_id: str | None, type_: str | None, as_json: bool) -> None:
    """Print events as they come, of all jobs or of one, until interrupted."""
    query = {name: value for name, value in (("jobId", job_id), ("type", type_)) if value}

    async def work(client: Client) -> None:
        async with client.events(**query) as events:
            async for event in events:
                screen.line(event) if as_json else screen.sentence(event)

    ask(work)


def _offline() -> Any:
    from secondunit.cli import offline  # the store and what it needs, for the rare case that no daemon runs

    return offline


def _told(job: Any, as_json: bool) -> None:
    if as_json:
        screen.printed(job)
    else:
        click.echo(f"{job['jobId']} is {job['status']}")
