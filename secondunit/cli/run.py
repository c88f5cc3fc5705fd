"""Command `secondunit run`: the daemon in the foreground, as systemd starts it."""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

DIED = 70


@click.command()
def run() -> None:
    """Start the daemon; it stays in the foreground and logs to stderr.

    SIGTERM, SIGINT and SIGHUP drain: running jobs get DRAIN_SECONDS, then go back to the queue; a second signal stops
    at once. SIGQUIT writes what every thread does into the log. Exit codes: 0 drained, 70 a part of it died or stood
    still, 74 the database or its disk failed, 75 another daemon has the database, 78 wrong settings.
    """
    code = DIED
    gc.disable()  # until the daemon has settled: a tenth of the start would go into looking through what imports make
    try:
        with _unseen("rich"):  # structlog takes it where it finds it, for 3.5 MiB that the daemon has no use for
            from secondunit.daemon.main import run as run_daemon

        code = run_daemon(os.environ)
    except BaseException:  # noqa: BLE001  the process ends here, with a code that is documented
        traceback.print_exc()
    finally:
        # Not sys.exit: Python would wait for threads that hang, and for the reader of what is left to be printed.
        os._exit(code)


@contextmanager
def _unseen(name: str) -> Iterator[None]:
    """For as long as this is open, the module can't be imported."""
    hidden = sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # what the import statement refuses
    try:
        yield
    finally:
        if hidden is None:
            del sys.modules[name]
