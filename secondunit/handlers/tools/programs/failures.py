"""Error mapping of programs: what a failed end means for its job, as far as it shows whatever the program is."""

import errno
import os
import re
import signal

from secondunit.handlers.tools.programs.ports import Finished
from secondunit.queue.outcome import Deterministic, Transient

DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
NO_MEMORY = re.compile(r"cannot allocate memory|out of memory|memoryerror", re.IGNORECASE)
FILE_TOO_LARGE = re.compile(r"file too large", re.IGNORECASE)
BY_LIMIT = {signal.SIGXCPU: ("cpu_limit", "CPU time"), signal.SIGXFSZ: ("file_too_large", "file size")}
# Likely the input's fault, yet possibly that of a machine under pressure: worth a second try, not a third.
ONCE = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
LAST_LINES, LONGEST, MOST_HEARD = 3, 600, 4000
UNKNOWN = "program_failed"
# What the machine, and no input, is to blame for: it may be better by the next attempt.
MACHINE = tuple(
    os.strerror(number).lower()
    for number in (
        errno.EIO,  # a disk or mount in trouble
        errno.EROFS,  # remounted so, after trouble
        errno.ESTALE,  # a network mount that was exported anew
        errno.EAGAIN,  # no more processes, threads or locks just now
        errno.EMFILE,
        errno.ENFILE,
        errno.ETIMEDOUT,
        errno.EINTR,
        errno.EBUSY,
        errno.ENODEV,
    )
)
INSTALLATION = ("modulenotfounderror", "importerror", "error while loading shared libraries")  # while it is replaced


def failure(program: str, finished: Finished, attempt: int, *, reads: str | None = None) -> Transient | Deterministic:
    """The exception to raise for a program that did not end with 0; `attempt` is the job's, from 1.

    `reads` names the file at hand that it has been reading, and all that it works with: what it can't read today, it
    won't read tomorrow, unless its end shows that the machine is to blame. Of any other program the unknown may pass.
    """
    if finished.returncode < 0:
        return _killed(program, -finished.returncode, attempt)
    message = f"{program} failed: {last_words(finished)}"
    if DISK_FULL.search(finished.stderr):
        return Transient(message, type="disk_full")
    if NO_MEMORY.search(finished.stderr):
        return _once(f"{message} (it needed more memory than it may have)", "out_of_memory", attempt)
    if FILE_TOO_LARGE.search(finished.stderr):
        return _past_limit(program, signal.SIGXFSZ)
    if (word := blamed(finished.stderr)) is not None:
        return Transient(message, type=word)
    if reads is not None:
        return Deterministic(f"{reads} can't be read: {message}", type="unreadable")
    return Transient(message, type=UNKNOWN)


def blamed(stderr: str) -> str | None:
    """The word for what the machine is to blame for, if the last lines tell of such a thing."""
    said = stderr[-MOST_HEARD:].lower()
    if any(words in said for words in MACHINE):
        return "io_error"
    return UNKNOWN if any(words in said for words in INSTALLATION) else None


def last_words(finished: Finished) -> str:
    """The last lines that a program left on stderr, in at most 600 characters."""
    lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])[-LONGEST:] or f"exit code {finished.returncode}"


def _killed(program: str, number: int, attempt: int) -> Transient | Deterministic:
    if number in BY_LIMIT:
        return _past_limit(program, signal.Signals(number))
    message = f"{program} was ended by {_name(number)}"
    return _once(message, "killed", attempt) if number in ONCE else Transient(message, type="killed")


def _past_limit(program: str, limit: signal.Signals) -> Deterministic:
    type, what = BY_LIMIT[limit]
    return Deterministic(f"{program} needed more {what} than it may have", type=type)


def _once(message: str, type: str, attempt: int) -> Transient | Deterministic:
    return Transient(message, type=type) if attempt <= 1 else Deterministic(f"{message}, again", type=type)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
