"""How a run ended, and the exceptions by which a handler says so."""

import errno
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from secondunit.queue.value import Value

ErrorClass = Literal["transient", "deterministic", "timeout", "cancelled"]


class JobError(Value, frozen=True):
    """Why a run failed: `kind` is the error class, `type` a stable word, `message` for a person."""

    kind: ErrorClass
    type: str
    message: str


class Transient(Exception):
    """Raise when trying again may help; `delay` asks for a wait longer than the retry policy's."""

    def __init__(self, message: str, *, type: str = "transient", delay: timedelta | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.delay = delay


class Unanswered(Transient):
    """Raise in a paid step when the request went out and no answer came: it may have been charged for.

    Every other Transient, Deterministic or Postponed raised there says that nothing was charged.
    """


class Deterministic(Exception):
    """Raise when trying again can't help: bad input, a missing file, a refusal."""

    def __init__(self, message: str, *, type: str = "deterministic") -> None:
        super().__init__(message)
        self.type = type


class Postponed(Exception):
    """Raise when the job must wait `delay` for somebody else (a quota, a gate); costs no attempt."""

    def __init__(self, message: str, *, delay: timedelta) -> None:
        super().__init__(message)
        self.delay = delay


class Completed(Value, frozen=True):
    """The run did all of its work."""

    result: Any


class Partial(Value, frozen=True):
    """Return when part of the work succeeded; `missing` lists what did not."""

    result: Any
    missing: Sequence[Any]


class Failed(Value, frozen=True):
    """The run failed; `delay` is a wait the other side asked for."""

    error: JobError
    delay: timedelta | None = None

    @property
    def retryable(self) -> bool:
        """Whether another attempt may help."""
        return self.error.kind in ("transient", "timeout")


class Postpone(Value, frozen=True):
    """The run stopped to wait `delay` for somebody else; costs no attempt."""

    delay: timedelta
    why: str


class Released(Value, frozen=True):
    """The run was stopped by a drain; the job goes back as it was."""

    why: str


class Stopped(Value, frozen=True):
    """The run was stopped because its job was to be cancelled."""


Outcome = Completed | Partial | Failed | Postpone | Released | Stopped


def classify(exception: BaseException) -> Failed | Postpone:
    """Turn what a handler raised into the outcome it means.

    A group counts as deterministic as soon as one of its members is; an exception nobody named is transient, under its
    class's name, because a retry is bounded and a lost job is not.
    """
    if isinstance(exception, BaseExceptionGroup):
        return min((classify(member) for member in exception.exceptions), key=_gravity)
    if isinstance(exception, Postponed):
        return Postpone(exception.delay, str(exception))
    if isinstance(exception, Deterministic):
        return Failed(JobError("deterministic", exception.type, str(exception)))
    if isinstance(exception, Transient):
        return Failed(JobError("transient", exception.type, str(exception)), exception.delay)
    if isinstance(exception, TimeoutError):
        return Failed(JobError("timeout", "timeout", str(exception) or "the operation timed out"))
    if isinstance(exception, OSError) and exception.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(JobError("transient", "disk_full", str(exception)))
    return Failed(JobError("transient", "unexpected", f"{type(exception).__name__}: {exception}"))


def _gravity(outcome: Failed | Postpone) -> int:
    if isinstance(outcome, Postpone):
        return 2
    return 1 if outcome.retryable else 0
