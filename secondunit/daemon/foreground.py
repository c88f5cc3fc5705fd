"""The daemon in the foreground, to its exit code: what `secondunit run` does, without what only other commands need."""

import gc
import os
import traceback
from typing import NoReturn

from secondunit.daemon.hidden_modules import LOGGING, unseen

DIED = 70


def serve() -> NoReturn:
    """Be the daemon; the process ends here, with an exit code that is documented."""
    code = DIED
    gc.disable()  # until the daemon has settled: a tenth of the start would go into looking through what imports make
    try:
        with unseen(*LOGGING):
            from secondunit.daemon.main import run as run_daemon

        code = run_daemon(os.environ)
    except BaseException:  # noqa: BLE001  the process ends here, with a code that is documented
        traceback.print_exc()
    finally:
        # Not sys.exit: Python would wait for threads that hang, and for the reader of what is left to be printed.
        os._exit(code)
