"""The daemon in the foreground, to its exit code: what `secondunit run` does, without what only other commands need."""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

DIED = 70
# What structlog takes where it finds it, and the daemon has no use for: 3.5 and 2 MiB.
UNUSED = ("rich", "greenlet")


def serve() -> NoReturn:
    """Be the daemon; the process ends here, with an exit code that is documented."""
    code = DIED
    gc.disable()  # until the daemon has settled: a tenth of the start would go into looking through what imports make
    try:
        with unseen(*UNUSED):
            from secondunit.daemon.main import run as run_daemon

        code = run_daemon(os.environ)
    except BaseException:  # noqa: BLE001  the process ends here, with a code that is documented
        traceback.print_exc()
    finally:
        # Not sys.exit: Python would wait for threads that hang, and for the reader of what is left to be printed.
        os._exit(code)


@contextmanager
def unseen(*names: str) -> Iterator[None]:
    """For as long as this is open, these modules can't be imported."""
    hidden = [name for name in names if sys.modules.setdefault(name, None) is None]  # type: ignore[arg-type]  # what the import statement refuses
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
