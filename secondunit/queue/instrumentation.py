"""Instrumentation port: what happens in the queue and around it, announced as frozen facts to a list of sinks."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from secondunit.queue.model import Event, Job
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
