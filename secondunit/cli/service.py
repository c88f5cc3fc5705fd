"""Command group `secondunit service`: the daemon as a systemd service of this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secondunit.cli.host.installation import Found
    from secondunit.cli.host.steps import Step

DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group()
def service() -> None:
    """Install, remove or show the systemd service that runs this very program."""


@service.command()
@DRY_RUN
def install(dry_run: bool) -> None:
    """Write the units, the account, the manual page and a first /etc/secondunit/config.toml; start nothing.

    Also the way to upgrade, and to open new media_roots to the service. What is yours stays: config.toml, credentials,
    and what `systemctl edit` made. A unit that differs is kept as *.old. Of Debian's package it opens the folders only:
    the rest is there.
    """
    from secondunit.cli.host.installation import installing, obstacles, unsuitable

    at = _found(serves=True)
    _refused([*obstacles(at.program), *unsuitable(at)], dry_run)
    _taken(installing(at), dry_run)


@service.command()
@click.option(
    "--purge", is_flag=True, help="Also remove the settings, the secrets and the state folder WITH THE QUEUE."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@DRY_RUN
def uninstall(purge: bool, yes: bool, dry_run: bool) -> None:
    """Stop the service and remove its units; settings, data and account stay."""
    from secondunit.cli.host.installation import BOOTED, NO_SYSTEMD, removing
    from secondunit.cli.host.units import this_layout

    layout = this_layout()
    packaged = ["it came as a package: `apt remove secondunit`, or `apt purge secondunit` for --purge"]
    _refused([*([] if BOOTED.is_dir() else [NO_SYSTEMD]), *(packaged if layout.packaged else [])], dry_run)
    if purge and not yes and not dry_run:
        click.confirm(f"Remove {layout.settings} and {layout.state}, with all jobs, backups and media?", abort=True)
    _taken(removing(layout, purge=purge), dry_run)


@service.command()
def status() -> None:
    """Say how the service stands: exit 0 if its files are this version's and it runs, else 1."""
    from secondunit.cli.host.installation import standing

    lines, well = standing(_found(serves=False))  # who may not read the secrets misses none
    for line in lines:
        output.say(line)
    if not well:
        sys.exit(FAILED)


def _found(*, serves: bool) -> Found:
    from secondunit.cli.host.installation import found
    from secondunit.cli.host.units import this_layout
    from secondunit.cli.reference.man_page import man_page
    from secondunit.daemon.config.loader import BadConfig

    try:
        page = man_page(click.get_current_context().find_root().command)
        return found(this_layout(), serves=serves, manual=page)
    except BadConfig as error:
        output.say(str(error), err=True)
        sys.exit(78)


def _refused(reasons: list[str], dry_run: bool) -> None:
    """End the command if there is a reason; a dry run only tells them."""
    if os.geteuid() != 0:
        reasons.insert(0, "only root may do this: put `sudo` in front, or add --dry-run to see what it would do")
    if dry_run:
        for reason in reasons:
            output.say(f"it would be refused here: {reason}", err=True)
    elif reasons:
        fail("\n".join(reasons))


def _taken(steps: Iterable[Step], dry_run: bool) -> None:
    from secondunit.cli.host.steps import StepFailed, take, told

    for step in steps:
        output.say(told(step))
        if not dry_run:
            try:
                take(step)
            except StepFailed as error:
                fail(f"stopped: {error}; what was done so far is above, the same command goes on from there")
