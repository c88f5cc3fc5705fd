"""`secondunit run`."""

import os
import sys

import click


@click.command()
def run() -> None:
    """Start the daemon; it stays in the foreground and logs to stderr.

    SIGTERM drains: running jobs get DRAIN_SECONDS, then go back to the queue; a second signal stops at once.
    Exit codes: 0 drained, 70 a part of it died, 74 the database or its disk failed, 75 another daemon has the database,
    78 wrong settings.
    """
    from secondunit.daemon.main import run as run_daemon

    sys.exit(run_daemon(os.environ))
