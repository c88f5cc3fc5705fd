"""Terminal output: tables and live progress bars on a terminal, plain text or JSON lines elsewhere."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from secondunit.daemon.formats import span
from secondunit.daemon.process.visible_text import visible, visible_json

COLORS = {"completed": "green", "partial": "yellow", "failed": "red", "cancelled": "magenta", "running": "cyan"}
COLUMNS = ("JOB", "TYPE", "SOURCE", "STATUS", "PROGRESS", "ATTEMPT", "AGE", "INPUT", "MESSAGE")
INPUTS = ("inputPath", "videoPath", "videoUrl", "url", "projectId")
WIDEST_INPUT = 40
DURATIONS = ("duration", "totalDuration")
UNITS = (("d", 86400), ("h", 3600), ("min", 60))
Show = Callable[[Mapping[str, Any]], None]


def table(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print jobs, one a line."""
    columns([COLUMNS, *(_row(job) for job in jobs)], status=2)


def columns(rows: Sequence[Sequence[str]], status: int | None = None) -> None:
    """Print rows of cells under each other, one a line; the cells in the column `status` in their colours."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        if status is not None:
            cells[status] = click.style(cells[status], fg=COLORS.get(row[status]))
        click.echo("  ".join(cells).rstrip())


def say(text: str, *, err: bool = False) -> None:
    """Print text that may hold foreign words; its own line breaks stay."""
    click.echo("\n".join(map(visible, text.split("\n"))), err=err)


def moved(bulk: Mapping[str, Any], what: str) -> None:
    """How many jobs a bulk call moved, and which it refused, with the reason."""
    click.echo(f"1 job is {what}" if bulk["done"] == 1 else f"{bulk['done']} jobs are {what}")
    for refused in bulk["refused"]:
        say(f"not {refused['jobId']}: {refused['message']}", err=True)


def page(found: Mapping[str, Any]) -> None:
    """Print a page of the list of jobs, and how the queue stands."""
    table(found["jobs"])
    how_many = "found so far" if found["truncated"] else "in all"
    click.echo(f"{found['total']} {how_many}; the queue has {found['queued']} queued and {found['running']} running")
    for type in sorted({job["type"] for job in found["jobs"] if job["paused"]}):
        click.echo(f"{visible(type)} is paused: its jobs wait until `secondunit jobs resume {visible(type)}`")
    if found["nextCursor"]:
        click.echo(f"more: --cursor {found['nextCursor']}")


def detail(job: Mapping[str, Any]) -> None:
    """Print everything there is to know of a job, leaving out what is not there; how long it took with its unit."""
    there = {name: value for name, value in job.items() if value is not False and value not in (None, [], {})}
    there |= {name: span(there[name] / 1000) for name in DURATIONS if name in there}
    width = max(map(len, there), default=0) + 2
    for name, value in there.items():
        text = visible(value) if isinstance(value, str) else _json(value, indent=2)
        click.echo(f"{name + ':':{width}}" + text.replace("\n", "\n" + " " * width))


def deliveries(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print deliveries, one a line, and below each its tries, newest first."""
    for row in rows:
        when = row["finishedAt"] or row["nextAt"]
        why = f"  {row['lastError']}" if row["lastError"] else ""
        told = f"{row['id']}  {row['kind']}  {row['status']}  tries {row['attempts']}  {when}  {row['url']}{why}"
        click.echo(visible(told))
        for one in reversed(row["tries"]):
            told = f"  {one['at']}  {one['duration']} ms  {one['status'] or 'no answer'}  {one['error'] or ''}"
            click.echo(visible(told.rstrip()))
    if not rows:
        click.echo("nobody asked to be told")


def printed(content: Any) -> None:
    """Print what the API gave, as JSON."""
    click.echo(_json(content, indent=2))


def line(event: Mapping[str, Any]) -> None:
    """Print an event as one line of JSON."""
    click.echo(_json(event))


def sentence(event: Mapping[str, Any]) -> None:
    """Print an event as one line for a person."""
    name = str(event["type"]).removeprefix("job:")
    share = f" {event['progress']:g} %" if name == "progress" else ""
    note = event.get("message") or event.get("phase") or ""
    told = f"{event.get('jobType', ''):10} {event.get('jobId', '')}  {name}{share}{': ' if note else ''}{note}"
    click.echo(visible(told))


def interactive() -> bool:
    """Whether a person watches."""
    return sys.stdout.isatty()


@contextmanager
def bars() -> Iterator[Show]:
    """A progress bar for each job that is shown, drawn anew as its events come."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[type]:10}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>5.1f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
    )
    known: dict[str, TaskID] = {}
    with Progress(*columns, transient=False) as progress:

        def show(event: Mapping[str, Any]) -> None:
            job_id = str(event.get("jobId", ""))
            if job_id not in known:
                known[job_id] = progress.add_task("", total=100, type=event.get("jobType"), status="", note="")
            ended = event["status"] in ("completed", "partial")
            progress.update(
                known[job_id],
                completed=100 if ended else event["progress"],
                status=event["status"],
                note=visible(str(event.get("message") or event.get("phase") or "")),
            )

        yield show


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    attempt = f"{job['attempt']}/{job['maxAttempts']}"
    note = (job.get("error") or {}).get("message") or job.get("message") or job.get("phase") or ""
    progress = f"{job['progress']:g} %"
    told = str(note)[:60]
    age = _age(job["createdAt"])
    return job["jobId"], job["type"], source(job), job["status"], progress, attempt, age, _input(job), told


def source(job: Mapping[str, Any]) -> str:
    """Who had it done, and what it is called there."""
    return f"{job['source']} {job.get('sourceId') or ''}".rstrip()


def _age(created: str) -> str:
    """How long ago it was submitted, in the largest unit that counts at least two."""
    seconds = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _input(job: Mapping[str, Any]) -> str:
    """What the job works on: its end, which tells most, where that is long."""
    payload = job.get("payload") or {}
    texts = [payload[name] for name in INPUTS if name in payload] + list(payload.values())
    told = next((text for text in texts if isinstance(text, str)), "")
    return told if len(told) <= WIDEST_INPUT else f"...{told[3 - WIDEST_INPUT :]}"


def _json(content: Any, indent: int | None = None) -> str:
    return visible_json(json.dumps(content, indent=indent, ensure_ascii=False))


def ids(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print the ids of jobs, one a line, for scripts."""
    for job in jobs:
        click.echo(job["jobId"])
