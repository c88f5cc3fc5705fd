"""Instrumentation port: what happens in the queue and around it, announced as frozen facts to a list of sinks."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, Literal

from secondunit.queue.clock import Clock
from secondunit.queue.model import Event, Job
from secondunit.queue.outcome import name_of
from secondunit.queue.value import Value


class Fact(Value, frozen=True):
    """Something that happened. Who announces it defines its class, beside itself; a sink picks the classes it knows."""


Sink = Callable[[Fact], None]


class JobsMoved(Fact, frozen=True):
    """Events of jobs, in their order and stored but for progress."""

    events: Sequence[Event]


class PhaseEnded(Fact, frozen=True):
    """A phase of a run is over, however it ended."""

    type: str
    phase: str
    seconds: float


class StepInDoubt(Fact, frozen=True):
    """A paid step was sent so often, and no answer is stored: it may have been charged."""

    job: Job
    step: str
    sends: int


class HandlerRaised(Fact, frozen=True):
    """A run ended by this exception."""

    job: Job
    error: BaseException


class LeftBehind(Fact, frozen=True):
    """A run is over, but not all that its handler started: tasks, which were stopped; threads and programs, which live.

    The latter began while it ran; another job's handler may have started them.
    """

    job: Job
    tasks: Sequence[str]
    others: Sequence[str]


class BeatLate(Fact, frozen=True):
    """So many seconds lay between two heartbeats that were written, of leases that last `lease` seconds."""

    seconds: float
    lease: float


class RunReclaimed(Fact, frozen=True):
    """A run was taken from a daemon that died, or from a loop that hung; the job as it stands since."""

    job: Job


class RunEstimated(Fact, frozen=True):
    """A run begins that takes about `seconds`, give or take `error`, by `runs` earlier ones; None: no program ran."""

    job: Job
    seconds: float
    error: float
    cpu: float | None
    runs: int


class RunEnded(Fact, frozen=True):
    """A run is over that began with the job as `began`; `after` is the job since, None where the lease was lost.

    It is announced of runs that are followed (`follow_run`), as are the pieces of their work.
    """

    began: Job
    after: Job | None


Piece = Literal["phase", "step", "program", "call"]
Figures = dict[str, str | int]


class PieceDone(Fact, frozen=True):
    """A piece of a run's work is over: it took `seconds`, and `fault` names what it raised.

    `mark` names it within its run, `within` the piece that it was a part of: 0 is the run itself.
    """

    job: Job
    kind: Piece
    name: str
    seconds: float
    mark: int
    within: int
    fault: str | None
    figures: Mapping[str, str | int]


class SinkBroke(Fact, frozen=True):
    """A sink raised at a fact, and went without it."""

    sink: Any
    fact: Fact
    error: BaseException


def unheard(_: Fact) -> None:
    """The sink of those who have nobody to tell."""


class Sinks:
    """One sink for many: each hears each fact, in order. One that raises costs nobody but itself."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def __call__(self, fact: Fact) -> None:
        """Tell every sink."""
        for sink in self._sinks:
            try:
                sink(fact)
            except BaseException as error:  # noqa: BLE001  a boundary: what watches a run must not be able to end it
                self._broke(SinkBroke(sink, fact, error))

    def _broke(self, fault: SinkBroke) -> None:
        for sink in self._sinks:  # the broken one, too: the log breaks at what it can't write, not at this
            with suppress(BaseException):
                sink(fault)


class _Followed:
    """A run whose pieces are told."""

    __slots__ = ("clock", "emit", "job", "marks")

    def __init__(self, job: Job, clock: Clock, emit: Sink) -> None:
        self.job = job
        self.clock = clock
        self.emit = emit
        self.marks = itertools.count(1)


# The piece that the current task works on, as context hands it down to whatever that starts.
_PIECE: ContextVar[tuple[_Followed, int] | None] = ContextVar("piece of a run", default=None)


def follow_run(job: Job, clock: Clock, emit: Sink) -> None:
    """Have the pieces of work announced that the current task, and all that comes of it, does for this job."""
    _PIECE.set((_Followed(job, clock, emit), 0))


def piece(kind: Piece, name: str, **figures: str | int) -> AbstractContextManager[Figures]:
    """Announce what is done within as one piece, once it is over; nothing, where no run is followed.

    `figures` say more of it, and more of them may be added. None may hold what nobody but the job's owner may know.
    """
    place = _PIECE.get()
    return nullcontext(figures) if place is None else _told(place, kind, name, figures)


@contextmanager
def _told(place: tuple[_Followed, int], kind: Piece, name: str, figures: Figures) -> Iterator[Figures]:
    run, within = place
    mark, began, fault = next(run.marks), run.clock.monotonic(), None
    _PIECE.set((run, mark))
    try:
        yield figures
    except BaseException as error:
        fault = name_of(error)
        raise
    finally:
        _PIECE.set(place)
        run.emit(PieceDone(run.job, kind, name, run.clock.monotonic() - began, mark, within, fault, figures))
