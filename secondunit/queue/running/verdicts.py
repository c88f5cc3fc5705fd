"""Outcome of a run, from what its handler returned or why it was stopped; texts of strangers are cleaned."""

from datetime import timedelta
from typing import Any

from secondunit.queue.outcome import Completed, Failed, HandlerBroke, JobError, Outcome, Partial, Postpone
from secondunit.queue.payloads.arguments import clean, to_json
from secondunit.queue.value import replace


def finished(value: Any) -> Outcome:
    """What a handler returned, as an outcome; HandlerBroke for what is no JSON."""
    if not isinstance(value, Partial):
        return Completed(to_json(value, "the result"))
    if not isinstance(value.missing, list | tuple):
        raise HandlerBroke(f"what is missing is a list, not a {type(value.missing).__name__}")
    return Partial(to_json(value.result, "the result"), to_json(list(value.missing), "what is missing"))


def cleaned(outcome: Failed | Postpone) -> Outcome:
    """Without what no text of ours may hold."""
    if isinstance(outcome, Postpone):
        return replace(outcome, why=clean(outcome.why))
    return replace(outcome, error=replace(outcome.error, message=clean(outcome.error.message)))


def overran(limit: timedelta) -> Failed:
    """Its attempt had its time."""
    return overdue("timeout", f"the attempt took longer than {limit.total_seconds():g} s")


def overdue(type: str, message: str) -> Failed:
    """It took too long."""
    return Failed(JobError("timeout", type, message))


def refused(message: str) -> Failed:
    """Its payload can't be worked on."""
    return Failed(JobError("deterministic", "bad_payload", clean(message)))
