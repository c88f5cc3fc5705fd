"""Command `secondunit recover`: an operator's way out when running jobs do not move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from secondunit.cli import output
from secondunit.cli.client import Client, ask

if TYPE_CHECKING:
    from secondunit.daemon.config.settings import Settings

AT_ONCE = 1000


@click.command()
@click.option("--timeout", type=click.IntRange(0), default=3600, show_default=True,
              help="Seconds without any movement after which a job counts as stuck.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="List them only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; without --yes or --dry-run nothing is recovered.")
def recover(timeout: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Queue running jobs again whose lease ran out or that have not moved for so long.

    Their runs are stopped and can write nothing more; it costs the jobs no attempt. With a daemon it is done through
    it; without one every running job of this box is stuck, as nothing runs it.
    """
    found: dict[str, Any] = ask(
        lambda client: client.call("GET", "/api/admin/stuck", query={"timeout": timeout}),
        lambda settings: _offline().running(settings.database, settings.box),
    )
    stuck = found["jobs"]
    if not as_json:
        _show(stuck)
    wanted = bool(stuck) and not dry_run and (yes or (not as_json and click.confirm("Queue them again?")))
    done: dict[str, Any] = {"done": 0, "refused": []}
    if wanted:
        done = _recovered(stuck)
    if as_json:
        output.printed({"stuck": stuck, "recovered": done["done"], "refused": done["refused"]})
    elif wanted:
        output.moved(done, "queued again")


def _recovered(stuck: list[dict[str, Any]]) -> dict[str, Any]:
    # By its epoch: a run that began since the list was made is not stuck.
    runs = [{"jobId": job["jobId"], "epoch": job["epoch"]} for job in stuck]

    async def with_daemon(client: Client) -> dict[str, Any]:
        done: dict[str, Any] = {"done": 0, "refused": []}
        for start in range(0, len(runs), AT_ONCE):
            part = await client.call("POST", "/api/admin/recover", body={"jobs": runs[start : start + AT_ONCE]})
            done = {"done": done["done"] + part["done"], "refused": done["refused"] + part["refused"]}
        return done

    async def without(settings: Settings) -> dict[str, Any]:
        named = [(run["jobId"], run["epoch"]) for run in runs]
        done: dict[str, Any] = await _offline().recover(settings.database, named)
        return done

    return ask(with_daemon, without)


def _show(stuck: list[dict[str, Any]]) -> None:
    if not stuck:
        click.echo("no running job is stuck")
        return
    rows = [("JOB", "TYPE", "SOURCE", "LAST UPDATE", "STUCK FOR")]
    for job in stuck:
        span = f"{job['stuckSeconds'] // 3600}h {job['stuckSeconds'] % 3600 // 60:02}m {job['stuckSeconds'] % 60:02}s"
        rows.append((job["jobId"], job["type"], output.source(job), job["updatedAt"], span))
    output.columns(rows)


def _offline() -> Any:
    from secondunit.cli import offline  # the store and what it needs, for the rare case that no daemon runs

    return offline
