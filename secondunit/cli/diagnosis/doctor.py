"""Command `secondunit doctor`: everything that is usually wrong with a box, looked at at once, each with its remedy."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED
from secondunit.daemon.process.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secondunit.daemon.diagnosis.checks import CheckResult

COLORS = {"bad": "red", "warn": "yellow", "ok": "green"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: {checks: [{name, state, found, remedy}]}.")
def doctor(as_json: bool) -> None:
    """Look for everything that is usually wrong, and say what to do: exit 0 if nothing is bad, else 1.

    It changes nothing, spends nothing, and prints no secret: what it says can be pasted into a report. It works whether
    the daemon runs or not; put `sudo` in front to see all of a service.
    """
    from secondunit.cli.diagnosis.examination import diagnosed
    from secondunit.cli.host.units import this_layout

    found = asyncio.run(diagnosed(os.environ, this_layout()))
    if as_json:
        output.printed({"checks": [asdict(check) for check in found]})
    else:
        _show(found)
    if any(check.state == "bad" for check in found):
        sys.exit(FAILED)


def _show(found: Sequence[CheckResult]) -> None:
    width = max(len(check.name) for check in found)
    for check in found:
        state = click.style(f"{check.state:4}", fg=COLORS[check.state])
        click.echo(f"{state}  {check.name:{width}}  " + visible(check.found))
        if check.remedy:
            click.echo(f"      {'':{width}}  -> " + visible(check.remedy))
    counts = [f"{number} {state}" for state in COLORS if (number := sum(check.state == state for check in found))]
    click.echo(", ".join(counts))
