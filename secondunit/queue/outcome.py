"""Outcomes of a run, and the exceptions by which a handler says so."""

import errno
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal

from secondunit.queue.value import Value

ErrorClass = Literal["transient", "deterministic", "timeout", "cancelled"]
LONGEST_WAIT = timedelta(days=366)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
MEMBERS_READ = 100_000
LONGEST_WORD = 100
HANDLER_BROKE = "handler_broke"
CLASS_NAME = type.__dict__["__name__"].__get__


class JobError(Value, frozen=True):
    """Why a run failed: `kind` is the error class, `type` a stable word, `message` for a person."""

    kind: ErrorClass
    type: str
    message: str


class Transient(Exception):
    """Raise when trying again may help; `delay`, a timedelta or seconds, is a wait longer than the retry policy's."""

    def __init__(self, message: str, *, type: str = "transient", delay: timedelta | float | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.delay = None if delay is None else wait_of(delay)


class Unanswered(Transient):
    """Raise in a paid step when the request went out and no answer came: it may have been charged for.

    Every other Transient, Deterministic or Postponed raised there says that nothing was charged.
    """


class Deterministic(Exception):
    """Raise when trying again can't help: bad input, a missing file, a refusal."""

    def __init__(self, message: str, *, type: str = "deterministic") -> None:
        super().__init__(message)
        self.type = type


class HandlerBroke(Deterministic):
    """Raised where a handler asks of the queue what no handler may: a step without a name, a wait without an end."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type=HANDLER_BROKE)


class Postponed(Exception):
    """Raise when the job must wait for somebody else (a quota, a back-off); costs no attempt.

    `delay` is a timedelta or seconds, from 0 to 366 days.
    """

    def __init__(self, message: str, *, delay: timedelta | float) -> None:
        super().__init__(message)
        self.delay = wait_of(delay)


MEANT = Transient | Deterministic | Postponed | TimeoutError


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


class Moved(Value, frozen=True):
    """The run's input turned out to be a file of another box: the job goes there, at no cost."""

    box: str
    why: str


class Stopped(Value, frozen=True):
    """The run was stopped because its job was to be cancelled."""


Outcome = Completed | Partial | Failed | Postpone | Released | Moved | Stopped


def wait_of(delay: timedelta | float) -> timedelta:
    """A wait as handlers give it, a timedelta or seconds; HandlerBroke for what is none, negative or over a year."""
    try:
        wait = delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
    except (TypeError, ValueError, OverflowError) as error:
        raise HandlerBroke(f"a delay is a timedelta, or seconds as a number; of this one: {error}") from None
    if not timedelta(0) <= wait <= LONGEST_WAIT:
        raise HandlerBroke(f"a delay goes from 0 to {LONGEST_WAIT.days} days; this one is {wait}")
    return wait


def broke(why: str) -> Failed:
    """The run failed for good, because its handler broke the rules."""
    return Failed(JobError("deterministic", HANDLER_BROKE, why))


def classify(exception: BaseException) -> Failed | Postpone:
    """Turn what a handler raised into the outcome it means; whatever that was, there is one.

    A group counts as deterministic as soon as one of its members is; an exception nobody named is transient, under its
    class's name, because a retry is bounded and a lost job is not. What is no Exception at all (SystemExit, a
    cancellation nobody asked for), or can't even be told, is the handler's own fault, for good.
    """
    try:
        return min(map(_meaning, _members(exception)), key=_gravity)
    except HandlerBroke as error:
        return broke(str(error))
    except BaseException as error:  # noqa: BLE001  it was made by the handler, and so were its __str__ and its `delay`
        return broke(f"the handler raised {name_of(exception)}, of which nothing can be told ({name_of(error)})")


def unexpected(error: BaseException) -> bool:
    """Whether a handler did not mean to raise it: it broke a rule, or something broke in it."""
    return isinstance(error, HandlerBroke) or not isinstance(error, MEANT)


def told(error: BaseException) -> str:
    """An exception as text, its class and what it says; whatever its `__str__` does."""
    try:
        return f"{name_of(error)}: {error}"
    except BaseException as another:  # noqa: BLE001  as above
        return f"{name_of(error)}, whose text raises {name_of(another)}"


def name_of(error: BaseException) -> str:
    """The name of an exception's class, whatever its class does to hide it."""
    return str(CLASS_NAME(type(error)))


def _members(exception: BaseException) -> Iterator[BaseException]:
    """The exceptions that a group holds, however deep; of very many, the first ones."""
    left = [exception]
    for _ in range(MEMBERS_READ):
        if not left:
            return
        member = left.pop()
        if isinstance(member, BaseExceptionGroup):
            left += reversed(member.exceptions)
        else:
            yield member


def _meaning(exception: BaseException) -> Failed | Postpone:
    said = str.__str__(str(exception))
    if isinstance(exception, Postponed):
        return Postpone(wait_of(exception.delay), said)
    if isinstance(exception, Deterministic):
        return Failed(JobError("deterministic", _word(exception.type), said))
    if isinstance(exception, Transient):
        delay = None if exception.delay is None else wait_of(exception.delay)
        return Failed(JobError("transient", _word(exception.type), said), delay)
    if isinstance(exception, TimeoutError):
        return Failed(JobError("timeout", "timeout", said or "the operation timed out"))
    if isinstance(exception, OSError) and exception.errno in DISK_FULL:
        return Failed(JobError("transient", "disk_full", said))
    if isinstance(exception, Exception):
        return Failed(JobError("transient", "unexpected", f"{name_of(exception)}: {said}"))
    if isinstance(exception, CancelledError):
        return broke("the handler raised CancelledError, and nobody had stopped it")
    return broke(f"the handler raised {name_of(exception)}" + (f": {said}" if said else ""))


def _word(type: object) -> str:
    if isinstance(type, str) and 0 < len(type) <= LONGEST_WORD and type.isprintable():
        return str.__str__(type)
    raise HandlerBroke(f"an error's type is a word of at most {LONGEST_WORD} characters")


def _gravity(outcome: Failed | Postpone) -> int:
    if isinstance(outcome, Postpone):
        return 2
    return 1 if outcome.retryable else 0
