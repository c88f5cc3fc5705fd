"""Command `secondunit health`: the health check of containers and scripts."""

import asyncio
import sys
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, UNREADABLE, Client, DaemonRefused, ask
from secondunit.cli.jobs import as_json

UNAVAILABLE = 503


@click.command()
@click.option(
    "--within", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="Seconds it may take."
)
@as_json
def health(within: float, as_json: bool) -> None:
    """Say whether the daemon serves, as /health does: exit 0 if so, 1 if not, or if it does not answer in time.

    What is wrong while it serves (`degraded`) is told and ends with 0, and so does a drain: a restart mends neither.
    """

    async def asked(client: Client) -> Any:
        try:
            async with asyncio.timeout(within):
                found = await client.call("GET", "/health", also=UNAVAILABLE)
        except TimeoutError:
            raise DaemonRefused(f"the daemon does not answer within {within:g} s") from None
        if not isinstance(found, dict) or not isinstance(found.get("status"), str):
            raise DaemonRefused(UNREADABLE)
        return found

    found = ask(asked)
    if as_json:
        output.printed(found)
    else:
        output.say("\n".join([found["status"], *found.get("reasons", ())]))
    if found["status"] == "failing":
        sys.exit(FAILED)
