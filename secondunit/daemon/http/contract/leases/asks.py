"""Asks of remote workers: what they want leased, what they tell of a run, and how they end it."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from secondunit.daemon.http.contract.requests import Ask, TypeName
from secondunit.daemon.http.written_values import printable
from secondunit.daemon.leasing.artifacts import PREFIX
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.model import Job
from secondunit.queue.outcome import (
    Completed,
    Deterministic,
    Failed,
    HandlerBroke,
    JobError,
    Outcome,
    Partial,
    Released,
)
from secondunit.queue.payloads import arguments
from secondunit.queue.remote.moves import News

MOST_AT_ONCE, LONGEST_WAIT, MOST_TYPES = 100, 60, 100
LONGEST_DELAY = 366 * 86400
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Word = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(printable)]
Text = Annotated[str, Field(max_length=100_000)]


class LeaseAsk(Ask):
    """Jobs to work on: of which types, how many at most, and how long to wait for one."""

    types: Annotated[list[TypeName], Field(min_length=1, max_length=MOST_TYPES)]
    max: int = Field(
        1, ge=1, le=MOST_AT_ONCE, description="so many jobs at most; fewer where they would be more than 8 MiB"
    )
    wait_seconds: float = Field(0, ge=0, le=LONGEST_WAIT, description="how long to wait where there is no job")
    worker: Word = Field(description="the worker's name, for people")


class NewsAsk(Ask):
    """How far the work is; what is left out stays as it was."""

    progress: float | None = Field(None, ge=0, le=100)
    phase: Word | None = None
    message: Text | None = None
    stats: dict[str, Any] | None = Field(None, description="figures about the work, shown with the job")


class ResultAsk(Ask):
    """A JSON value."""

    result: Any


class PartialAsk(Ask):
    """What could be done, and what not."""

    result: Any
    missing: Annotated[list[Any], Field(min_length=1)]


class ErrorAsk(Ask):
    """Why the run failed: only `transient` and `timeout` are tried again."""

    kind: Literal["transient", "deterministic", "timeout", "cancelled"] = Field(alias="class")
    type: Word = Field(description="a stable word")
    message: Text = Field(description="for a person")


class FailAsk(Ask):
    """A failure, and for how long at least not to try again."""

    error: ErrorAsk
    retry_after_seconds: float | None = Field(None, ge=0, le=LONGEST_DELAY)


class ReleaseAsk(Ask):
    """Why the job is given back, at no cost."""

    reason: Text


def news(ask: NewsAsk) -> News:
    """What the worker tells, as it can be kept."""
    return News(
        None if ask.progress is None else ask.progress / 100,
        ask.phase,
        None if ask.message is None else arguments.clean(ask.message),
        None if ask.stats is None else kept(ask.stats, "stats"),
    )


def kept(value: Any, field: str) -> Any:
    """A JSON value that can be kept, or BadPayload."""
    try:
        return arguments.to_json(value, "it")
    except (Deterministic, HandlerBroke) as error:
        raise BadPayload(FieldError(field, str(error))) from None


def step_name(name: str) -> str:
    """A step's name, or BadPayload."""
    try:
        name = arguments.name(name, "a step's name")
    except HandlerBroke as error:
        raise BadPayload(FieldError("name", str(error))) from None
    if CONTROL.search(name):
        raise BadPayload(FieldError("name", "has a control character in it (a line break, a tab); choose another"))
    if name.startswith(PREFIX):
        raise BadPayload(FieldError("name", f"begins with {PREFIX}, which stands for artefacts; choose another"))
    return name


def completed(ask: ResultAsk) -> Outcome:
    """All is done."""
    return Completed(kept(ask.result, "result"))


def partial(ask: PartialAsk) -> Outcome:
    """Part of it is."""
    return Partial(kept(ask.result, "result"), kept(ask.missing, "missing"))


def failed(ask: FailAsk, job: Job) -> Outcome:
    """It failed; as cancelled only where that was asked for."""
    error = ask.error
    if error.kind == "cancelled" and not job.cancel_requested:
        told = "should be transient, deterministic or timeout: nobody asked to cancel the job; release gives it back"
        raise BadPayload(FieldError("error.class", told))
    delay = None if ask.retry_after_seconds is None else timedelta(seconds=ask.retry_after_seconds)
    return Failed(JobError(error.kind, error.type, arguments.clean(error.message)), delay)


def released(ask: ReleaseAsk) -> Outcome:
    """It goes back."""
    return Released(arguments.clean(ask.reason) or "the worker gave it back")


def call_of(verb: str, body: Mapping[str, Any]) -> str:
    """What tells a settling call from another one: its word and its parsed body."""
    return hashlib.sha256(f"{verb} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()[:32]
