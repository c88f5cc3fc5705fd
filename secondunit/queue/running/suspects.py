"""Probation: starts the jobs under suspicion one at a time, and meanwhile nothing but what is known to be good."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, NotAllowed
from secondunit.queue.model import Change, Job
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.running.execution import Execution
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.queue.suspicion import probation

Room = Mapping[str, int]


class Suspects:
    """The suspects that a store holds. New ones come of a daemon's death only: once there are none, there are none.

    Those that are bound to another box are that one's affair.
    """

    def __init__(self, store: Store, locality: Locality = ANYWHERE) -> None:
        self._store = store
        self._locality = locality
        self._none = False

    async def admit(
        self, room: Room, running: Sequence[Execution], boot: str, ttl: timedelta, now: datetime
    ) -> tuple[Room, Sequence[Job]]:
        """The room that is left for ordinary jobs, and the suspect that was started if it was time for one."""
        found = () if self._none else await self._store.suspects()
        suspects = [job for job in found if not self._locality.elsewhere(job.box)]
        self._none = not suspects
        if not suspects:
            return room, ()
        doubtful = [execution.type for execution in running if not execution.passed]
        beside, ready = probation(room, suspects, doubtful, (await self._store.counts()).completed, now)
        return beside, await self._start(ready, boot, ttl, now)

    async def _start(self, ready: Sequence[Job], boot: str, ttl: timedelta, now: datetime) -> Sequence[Job]:
        def start(job: Job) -> Change:
            if job.suspicion is None or (job.run_at is not None and job.run_at > now):
                raise NotAllowed(job.id, "it has moved")
            return state.start(job, boot, ttl, now)

        limits = QueueLimits(running=self._locality.overall)
        for job in ready:
            try:
                return [await self._store.change(job.id, start, limits=limits)]
            except (NotAllowed, JobNotFound):
                continue  # since it was listed
        return ()
