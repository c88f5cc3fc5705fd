"""What a handler raised, as the outcome it means."""

import asyncio
import errno
from datetime import timedelta

import pytest

from secondunit.queue.outcome import (
    HANDLER_BROKE,
    Deterministic,
    Failed,
    JobError,
    Postpone,
    Postponed,
    Transient,
    Unanswered,
    classify,
)

MINUTE = timedelta(minutes=1)
BAD = Deterministic("no such codec", type="unreadable")
BUSY = Transient("busy", type="rate_limited", delay=MINUTE)
QUOTA = Postponed("the quota is used up", delay=MINUTE)


def failed(outcome: object) -> Failed:
    assert isinstance(outcome, Failed)
    return outcome


def test_a_deterministic_error_keeps_its_word_and_is_not_retried() -> None:
    outcome = failed(classify(BAD))
    assert outcome == Failed(JobError("deterministic", "unreadable", "no such codec"))
    assert not outcome.retryable


def test_a_transient_error_keeps_its_word_and_its_wait() -> None:
    outcome = failed(classify(BUSY))
    assert outcome == Failed(JobError("transient", "rate_limited", "busy"), MINUTE)
    assert outcome.retryable


def test_an_unanswered_call_is_transient() -> None:
    assert failed(classify(Unanswered("cut off"))).retryable


def test_a_postponed_run_is_no_failure() -> None:
    assert classify(QUOTA) == Postpone(MINUTE, "the quota is used up")


@pytest.mark.parametrize("message", ["", "after 30 s"])
def test_a_time_out_is_retried_and_says_something(message: str) -> None:
    outcome = failed(classify(TimeoutError(message) if message else TimeoutError()))
    assert (outcome.error.kind, outcome.error.type, outcome.retryable) == ("timeout", "timeout", True)
    assert outcome.error.message == (message or "the operation timed out")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_word_and_is_retried(number: int) -> None:
    outcome = failed(classify(OSError(number, "no space left")))
    assert (outcome.error.kind, outcome.error.type) == ("transient", "disk_full")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError(errno.ENOENT, "gone"), RuntimeError("x")])
def test_an_error_that_nobody_named_is_transient_under_its_class(error: Exception) -> None:
    outcome = failed(classify(error))
    assert (outcome.error.kind, outcome.error.type, outcome.delay) == ("transient", "unexpected", None)
    assert outcome.error.message.startswith(type(error).__name__ + ": ")


def test_a_group_is_retried_only_if_all_of_it_is() -> None:
    assert failed(classify(ExceptionGroup("g", [BUSY, TimeoutError()]))).retryable
    assert failed(classify(ExceptionGroup("g", [BUSY, BAD, TimeoutError()]))) == classify(BAD)
    assert failed(classify(ExceptionGroup("g", [BUSY, ExceptionGroup("h", [QUOTA, BAD])]))) == classify(BAD)


def test_a_group_is_postponed_only_if_all_of_it_is() -> None:
    assert classify(ExceptionGroup("g", [QUOTA, QUOTA])) == classify(QUOTA)
    assert classify(ExceptionGroup("g", [QUOTA, BUSY])) == classify(BUSY)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_what_is_no_exception_is_the_handlers_fault(error: BaseException) -> None:
    outcome = failed(classify(BaseExceptionGroup("g", [BUSY, error])))
    assert (outcome.error.kind, outcome.error.type, outcome.retryable) == ("deterministic", HANDLER_BROKE, False)
    assert type(error).__name__ in outcome.error.message


def test_a_group_however_deep_is_told_by_what_is_in_it() -> None:
    error: Exception = BUSY
    for _ in range(5000):
        error = ExceptionGroup("g", [error])
    assert classify(error) == classify(BUSY)


def test_a_wait_may_be_seconds() -> None:
    assert Postponed("x", delay=1.5).delay == Transient("x", delay=1.5).delay == timedelta(seconds=1.5)
    assert Transient("x").delay is None


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_error_whose_text_raises_is_the_handlers_fault() -> None:
    try:
        outcome = classify(Mute())
    except SystemExit:
        pytest.fail("its text ended the process")
    assert failed(outcome).error.type == HANDLER_BROKE
