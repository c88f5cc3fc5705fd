"""Signal handlers from the first moment on: SIGTERM, SIGINT and SIGHUP ask to drain, others do nothing.

They stand before anything else is imported, so this imports next to nothing: `signal` alone, with the `enum` that it
needs, takes a cold machine 20 ms, in which a signal would end the process by its default.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` wraps, and part of the interpreter
import os
import time
from collections.abc import Callable
from typing import Any

ASKING = {15: "SIGTERM", 2: "SIGINT", 1: "SIGHUP"}
IDLE = (10, 12, 14, 26, 27, 29, 30)  # USR1, USR2, ALRM, VTALRM, PROF, IO, PWR: their defaults would end the process
PATIENCE = 0.5
STOPPED = 0


class Bell:
    """The handler of the signals that ask: it ends a process that has opened nothing yet; later rings go to the loop.

    A second ring while the first waits for the loop ends the process at once, as a loop that stands still stops
    nothing. Python runs this between two instructions, also inside of a `re` that never ends.
    """

    def __init__(self) -> None:
        self.early: list[str] = []
        self._begun = False
        self._rung = False
        self._listener: Callable[[str], object] | None = None
        self._insist: Callable[[], object] = lambda: None
        self._waits_since: float | None = None

    def begin(self) -> None:
        """From now on there is something to be closed: rings are kept until somebody listens."""
        self._begun = True

    def listen(self, listener: Callable[[str], object], insist: Callable[[], object]) -> None:
        """Pass rings on to `listener`, which says `heard`; `insist` sees to the end whatever the loop does then."""
        self._listener, self._insist = listener, insist
        for name in self.early:
            listener(name)

    def heard(self) -> None:
        """The loop has taken what rang."""
        self._waits_since = None

    def __call__(self, number: int, _frame: Any) -> None:
        """Ring."""
        again, self._rung = self._rung, True
        if self._listener is None:
            if again or not self._begun:
                os._exit(STOPPED)
            self.early.append(ASKING[number])
            return
        now = time.monotonic()
        if again:
            if self._waits_since is not None and now - self._waits_since > PATIENCE:
                os._exit(STOPPED)
            self._insist()
        if self._waits_since is None:
            self._waits_since = now
        self._listener(ASKING[number])


def stand() -> Bell:
    """Put the handlers in place, once; the bell. A SIGHUP that is ignored already, by nohup, stays so."""
    standing = _signal.getsignal(15)
    if isinstance(standing, Bell):
        return standing
    bell = Bell()
    for number in ASKING:
        if number != 1 or _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, bell)
    for number in IDLE:
        _signal.signal(number, _nothing)  # not SIG_IGN, which children would inherit
    return bell


def stand_again() -> None:
    """Put the bell back where the C library put a handler of its own in its place."""
    bell = stand()
    for number in ASKING:
        if _signal.getsignal(number) is bell:
            _signal.signal(number, bell)


def dismiss() -> None:
    """The daemon has ended: a signal that comes still must not make it look as if killed."""
    for number in ASKING:
        _signal.signal(number, _signal.SIG_IGN)


def streams_open() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed: else the database might get its number, and their text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free


def _nothing(_number: int, _frame: Any) -> None:
    """It is only to be here."""
