"""What the torture leaves behind, as plain values: everything the checker judges, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ack:
    """A submit that was answered 2xx."""

    job: str
    key: str
    type: str
    callback: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """A callback as the receiver got it, and the status it answered (0: none)."""

    delivery: str
    epoch: int
    body: Row
    answered: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader of the event stream got: it follows jobs of `type` (all when None), from after `start`."""

    name: str
    type: str | None
    start: int
    seqs: Sequence[int]
    resets: int


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which the daemon was dead, stopped or starting, by the machine's clock."""

    kind: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it; `jobs`, `events`, `steps`, `deliveries` are rows of the database with their JSON read.

    `diary` holds the lines of the side-effect log in order; `spans` when the daemon was killed or stopped;
    `unanswered` the keys of submits whose answer never came; `retried` how often each job's retry was answered 200, and
    `maybe_retried` how often it was asked; `cancelled` the jobs whose cancellation was answered
    200; `parents` the jobs that others wait for; by `clock_moves` seconds at most the daemon's clock was off;
    `undone` says what was to be done to it, and was not.
    """

    acks: Sequence[Ack]
    unanswered: frozenset[str]
    jobs: Sequence[Row]
    events: Sequence[Row]
    steps: Sequence[Row]
    deliveries: Sequence[Row]
    diary: Sequence[Row]
    arrivals: Sequence[Arrival]
    readings: Sequence[Reading]
    spans: Sequence[Span]
    retried: Mapping[str, int] = field(default_factory=dict)
    maybe_retried: Mapping[str, int] = field(default_factory=dict)
    cancelled: Sequence[str] = ()
    alive: Sequence[str] = ()
    stray: Sequence[str] = ()
    torn: Sequence[str] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    integrity: Sequence[str] = ()
    exits: Sequence[tuple[str, int]] = ()
    clock_moves: float = 0.0
    parents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    undone: Sequence[str] = ()
