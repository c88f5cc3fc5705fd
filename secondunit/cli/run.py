"""`secondunit run`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


@click.command()
def run() -> None:
    """Start the daemon; it stays in the foreground and logs to stderr.

    SIGTERM drains: running jobs get DRAIN_SECONDS, then go back to the queue; a second signal stops at once.
    Exit codes: 0 drained, 70 a part of it died, 74 the database or its disk failed, 75 another daemon has the database,
    78 wrong settings.
    """
    with _unseen("rich"):  # structlog takes it where it finds it, for 3.5 MiB that the daemon has no use for
        from secondunit.daemon.main import run as run_daemon

    sys.exit(run_daemon(os.environ))


@contextmanager
def _unseen(name: str) -> Iterator[None]:
    """For as long as this is open, the module can't be imported."""
    hidden = sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # what the import statement refuses
    try:
        yield
    finally:
        if hidden is None:
            del sys.modules[name]
