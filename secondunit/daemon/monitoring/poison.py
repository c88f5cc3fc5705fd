"""Instrumentation sink: jobs that failed as poison, remembered for an hour, for they leave nothing else to be seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, JobsMoved
from secondunit.queue.model import JobId

REMEMBERED = timedelta(hours=1)


class PoisonedJobs:
    """The sink."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[JobId, datetime] = {}

    def __call__(self, fact: Fact) -> None:
        """Hear of them."""
        for event in fact.events if isinstance(fact, JobsMoved) else ():
            if event.error and event.error.type == "poison":
                self._found[event.job_id] = event.at

    def recent(self) -> Sequence[JobId]:
        """Their ids, the oldest first."""
        oldest = self._clock.now() - REMEMBERED
        self._found = {id: at for id, at in self._found.items() if at > oldest}
        return list(self._found)
