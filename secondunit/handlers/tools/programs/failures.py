"""Error mapping of programs: what a failed end means for its job, as far as it shows whatever the program is."""

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
LAST_LINES, LONGEST = 3, 600
UNKNOWN = "program_failed"


def failure(program: str, finished: Finished, attempt: int) -> Transient | Deterministic:
    """The exception to raise for a program that did not end with 0; `attempt` is the job's, from 1."""
    if finished.returncode < 0:
        return _killed(program, -finished.returncode, attempt)
    message = f"{program} failed: {last_words(finished)}"
    if DISK_FULL.search(finished.stderr):
        return Transient(message, type="disk_full")
    if NO_MEMORY.search(finished.stderr):
        return _once(f"{message} (it needed more memory than it may have)", "out_of_memory", attempt)
    if FILE_TOO_LARGE.search(finished.stderr):
        return _past_limit(program, signal.SIGXFSZ)
    return Transient(message, type=UNKNOWN)


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
