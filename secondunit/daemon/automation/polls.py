"""Polls of the backend: what came of each, how the takeover goes, and what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import JobId
from secondunit.queue.value import Value

KEPT = 20


@dataclass(frozen=True, slots=True)
class Polling:
    """How the takeover goes, for the operator: of the last poll, and in all since the start."""

    polled_at: datetime | None = None
    answered_at: datetime | None = None
    trouble: str | None = None
    refused: bool = False
    down_since: datetime | None = None
    found: int = 0
    waiting: int = 0
    taken: int = 0


class Poll(Value, frozen=True):
    """One poll: how many analyses were listed and how many of them taken on, or why there was no list."""

    at: datetime
    outcome: Literal["ok", "error", "refused"]
    found: int = 0
    taken: int = 0
    why: str | None = None


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """Active mode as it stands. `url` is None where no backend is configured, `polling` where nothing is polled.

    `idle` says why a box in active mode polls nothing. `failures` are polls in a row without a list, `polls` the last
    ones, newest first; `quarantined` are analyses that were refused here, each with until when it is left alone;
    `live` are those that were taken on and have not ended, by our jobs. `delivered` counts results since the start.
    """

    mode: str = "passive"
    url: str | None = None
    idle: str | None = None
    polling: Polling | None = None
    polls: Sequence[Poll] = ()
    next_at: datetime | None = None
    failures: int = 0
    quarantined: Mapping[str, datetime] = field(default_factory=dict)
    live: Mapping[JobId, str] = field(default_factory=dict)
    delivered: int = 0


class Polled(Fact, frozen=True):
    """The backend was polled: "ok", "error" or "refused"."""

    outcome: str


class BackendJobs(Fact, frozen=True):
    """So many analyses were "found" in its list, or "taken" on."""

    what: str
    number: int
