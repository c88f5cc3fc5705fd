"""Command `secondunit run`: the daemon in the foreground, as systemd starts it."""

import click

from secondunit.daemon.foreground import serve


@click.command()
def run() -> None:
    """Start the daemon; it stays in the foreground and logs to stderr.

    SIGTERM, SIGINT and SIGHUP drain: running jobs get DRAIN_SECONDS, then go back to the queue; a second signal stops
    at once. SIGQUIT writes what every thread does into the log. Exit codes: 0 drained, 70 a part of it died or stood
    still, 74 the database or its disk failed, 75 another daemon has the database, 78 wrong settings.
    """
    serve()
