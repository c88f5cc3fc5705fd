"""Command `secondunit batch`: jobs from a file, submitted together, followed to their end if asked."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, Client, ask, listed
from secondunit.cli.jobs import as_json

LOOK_EVERY, LARGEST = 0.5, 1000
SUCCEEDED = ("completed", "partial")


@click.command()
@click.argument("file", type=click.File("r", "utf-8"))
@click.option("--wait", is_flag=True, help="Return once all have ended; exit 1 unless each succeeded.")
@as_json
def batch(file: IO[str], wait: bool, as_json: bool) -> None:
    """Submit the jobs of FILE (- is stdin): JSON, a list of jobs or `{"jobs": [...], "name": ..., "callback": ...}`.

    `ref` names a job, which others of the file may then have in `dependsOn`, or in a payload as
    `{"$from": REF, "path": "outputPath"}`.
    """
    body = _body(file)

    async def work(client: Client) -> Any:
        made = await client.call("POST", "/api/jobs/batch", body=body)
        return await _ended(client, made["batchId"]) if wait else made

    told = ask(work)
    if as_json:
        output.printed(told)
    elif wait:
        show(told)
    else:
        click.echo(f"batch {told['batchId']}")
        output.columns([(job["jobId"], job["ref"] or "", job["status"]) for job in told["jobs"]], status=2)
    if wait and any(word not in SUCCEEDED for word in told["byStatus"]):
        sys.exit(FAILED)


def show(found: Mapping[str, Any]) -> None:
    """Print a batch and the jobs of its page."""
    counts = ", ".join(f"{n} {status}" for status, n in found["byStatus"].items())
    since = f"finished {found['finishedAt']}" if found["finishedAt"] else f"submitted {found['createdAt']}"
    name = f" ({found['name']})" if found["name"] else ""
    output.say(f"{found['batchId']}{name}: {counts} of {found['total']}, {since}")
    output.table(found["jobs"])


async def _ended(client: Client, batch_id: str) -> Any:
    path = f"/api/batches/{quote(batch_id, safe='')}"
    while True:
        if (await client.call("GET", path, query={"limit": 1}))["finishedAt"]:
            return await listed(client, path, (), LARGEST)
        await asyncio.sleep(LOOK_EVERY)


def _body(file: IO[str]) -> Any:
    try:
        content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file.name} is not JSON: {error}", param_hint="FILE") from None
    if isinstance(content, list):
        return {"jobs": content}
    if not isinstance(content, dict):
        raise click.BadParameter(f'{file.name} is neither a list of jobs nor {{"jobs": [...]}}', param_hint="FILE")
    return content
