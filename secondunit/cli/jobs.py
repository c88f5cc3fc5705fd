"""Command group `secondunit jobs`: the queue as it stands, and moves of single jobs."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.client import Client, ask, listed
from secondunit.cli.reference.completion import job_types

MOVED = "this is done in the database"
STATUSES = ("queued", "running", "completed", "partial", "failed", "cancelled")
_status = click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be given again.")
_types = click.option(
    "--type", "types", multiple=True, metavar="TYPE", shell_complete=job_types, help="Only these; may be given again."
)
_query = click.option("-q", "q", metavar="QUERY", help="Only those that match; docs/sight.md has the language.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API gave.")
quiet = click.option("--quiet", is_flag=True, help="Print the jobs' ids only, one a line.")


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which jobs are meant."""
    return _status(_types(_query(command)))


@click.group()
def jobs() -> None:
    """List, show, cancel, retry and follow jobs."""


@jobs.command("list")
@filtered
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="List so many at most.")
@click.option("--cursor", type=click.IntRange(1), help="Where the page before said that this one begins.")
@as_json
@quiet
def list_jobs(
    status: tuple[str, ...],
    types: tuple[str, ...],
    q: str | None,
    limit: int,
    cursor: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """List jobs, newest first; without a daemon, as the database has them."""
    query: list[tuple[str, str | int]] = [("status", word) for word in status]
    query += [("type", word) for word in types]
    if cursor is not None:
        query.append(("cursor", cursor))
    if q:
        query.append(("q", q))
    found = ask(
        lambda client: listed(client, "/api/jobs", query, limit),
        lambda settings: without_daemon().find(settings.database, status, types, q, cursor, limit),
    )
    if quiet:
        output.ids(found["jobs"])
    else:
        output.printed(found) if as_json else output.page(found)


@jobs.command()
@click.argument("job_id")
@as_json
def show(job_id: str, as_json: bool) -> None:
    """Show all there is to know of a job; without a daemon, as the database has it."""
    job = ask(
        lambda client: client.call("GET", f"/api/jobs/{quote(job_id, safe='')}"),
        lambda settings: without_daemon().show(settings.database, job_id),
    )
    output.printed(job) if as_json else output.detail(job)


@jobs.command()
@click.argument("job_id")
@as_json
def explain(job_id: str, as_json: bool) -> None:
    """Say why a job is where it is: what it waits for, how many are ahead, and until when."""
    told = ask(lambda client: client.call("GET", f"/api/jobs/{quote(job_id, safe='')}/explain"))
    if as_json:
        output.printed(told)
        return
    output.say(f"{told['jobId']} is {told['status']} ({told['reason']}): {told['sentence']}")
    if told["startsAt"]:
        output.say(f"starts at about {told['startsAt']}, give or take {told['startsAtErrorSeconds']:.3g} s")
    if told["etaSeconds"] is not None:
        output.say(f"ends in about {told['etaSeconds']:.3g} s, give or take {told['etaErrorSeconds']:.3g} s")
    if told["blockedBy"]:
        output.say("it waits for " + ", ".join(told["blockedBy"]))


@jobs.command()
@click.argument("job_id", required=False)
@filtered
@as_json
def cancel(job_id: str | None, status: tuple[str, ...], types: tuple[str, ...], q: str | None, as_json: bool) -> None:
    """Cancel a job, or all that match; a running one is stopped first. Without a daemon, in the database."""
    if job_id and not (status or types or q):
        path = f"/api/jobs/{quote(job_id, safe='')}"
        job = ask(
            lambda client: client.call("DELETE", path),
            lambda settings: without_daemon(MOVED).cancel(settings, job_id),
        )
        _told(job, as_json)
    else:
        _moved("cancel", job_id, status, types, q, as_json)


@jobs.command()
@click.argument("job_id", required=False)
@filtered
@as_json
def retry(job_id: str | None, status: tuple[str, ...], types: tuple[str, ...], q: str | None, as_json: bool) -> None:
    """Queue an ended job, or all that match, again, with fresh attempts. Without a daemon, in the database."""
    if job_id and not (status or types or q):
        path = f"/api/jobs/{quote(job_id, safe='')}/retry"
        job = ask(
            lambda client: client.call("POST", path),
            lambda settings: without_daemon(MOVED).retry(settings, job_id),
        )
        _told(job, as_json)
    else:
        _moved("retry", job_id, status, types, q, as_json)


@jobs.command()
@click.argument("type", shell_complete=job_types)
def pause(type: str) -> None:
    """Start no more jobs of a type; running ones go on. Without a daemon, from its next start on."""
    _paused(type, "pause")
    click.echo(f"no {type} job is started until `secondunit jobs resume {type}`")


@jobs.command()
@click.argument("type", shell_complete=job_types)
def resume(type: str) -> None:
    """Start jobs of a type again."""
    _paused(type, "resume")
    click.echo(f"{type} jobs are started again")


@jobs.command()
@click.argument("job_id")
@click.option("--retry", "again", is_flag=True, help="Send those that have not arrived now, given up or not.")
@as_json
def deliveries(job_id: str, again: bool, as_json: bool) -> None:
    """Show where the news of a job's end went, and what became of it."""

    async def work(client: Client) -> Any:
        path = f"/api/jobs/{quote(job_id, safe='')}/deliveries"
        found = await client.call("GET", path)
        missing = [row["id"] for row in found["deliveries"] if row["status"] != "delivered"] if again else []
        for id in missing:
            await client.call("POST", f"/api/deliveries/{id}/retry")
        return await client.call("GET", path) if missing else found

    found = ask(work)
    output.printed(found) if as_json else output.deliveries(found["deliveries"])


@jobs.command()
@click.argument("job_id", required=False)
@click.option("--type", "type_", metavar="TYPE", shell_complete=job_types, help="Only jobs of this type.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(job_id: str | None, type_: str | None, as_json: bool) -> None:
    """Print events as they come, of all jobs or of one, until interrupted."""
    query = {name: value for name, value in (("jobId", job_id), ("type", type_)) if value}

    async def work(client: Client) -> None:
        async with client.events(**query) as events:
            if job_id:  # else a name that is none would be waited for
                await client.call("GET", f"/api/jobs/{quote(job_id, safe='')}")
            async for event in events:
                output.line(event) if as_json else output.sentence(event)

    ask(work)


def without_daemon(says: str = "this is how the database has it") -> Any:
    """What does the same with the database alone; it is said that no daemon runs."""
    from secondunit.cli import offline  # the store and what it needs, for the rare case

    output.say(f"no daemon runs: {says}", err=True)
    return offline


def _paused(type: str, move: str) -> None:
    path = f"/api/types/{quote(type, safe='')}/{move}"
    ask(
        lambda client: client.call("POST", path),
        lambda settings: without_daemon(MOVED).pause(settings, type, move == "pause"),
    )


def _moved(
    move: str, job_id: str | None, status: tuple[str, ...], types: tuple[str, ...], q: str | None, as_json: bool
) -> None:
    """Move all jobs that match, and tell how many really were."""
    if job_id or not (status or types or q):
        raise click.UsageError("name one job, or say with --status, --type and -q which are meant")
    body = {"filter": {"status": list(status), "type": list(types), "q": q}}
    bulk = ask(
        lambda client: client.call("POST", f"/api/jobs/{move}", body=body),
        lambda settings: without_daemon(MOVED).move_all(settings, move, status, types, q),
    )
    if as_json:
        output.printed(bulk)
    else:
        output.moved(bulk, "queued again" if move == "retry" else "cancelled")


def _told(job: Any, as_json: bool) -> None:
    if as_json:
        output.printed(job)
    else:
        click.echo(f"{job['jobId']} is {job['status']}")
