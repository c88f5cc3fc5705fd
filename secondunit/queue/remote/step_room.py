"""Quota of a remote worker's steps: all of a job are given back with each of its leases, so their sizes are bounded."""

import json
from typing import Any

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.model import JobId
from secondunit.queue.store import Steps

MOST = 16 << 20
BESIDE = 100  # bytes of a step beside its name and its result
JOBS_KNOWN = 1000


class StepRoom:
    """How much each job's steps take that a worker stores now; read once a lease, and counted from then on."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._sizes: dict[tuple[JobId, int], dict[str, int]] = {}

    def knows(self, job_id: JobId, epoch: int) -> bool:
        """Whether the steps of this lease have been read."""
        return (job_id, epoch) in self._sizes

    async def take(self, job_id: JobId, epoch: int, name: str, result: Any) -> None:
        """Count a step, in place of what has its name; BadPayload for one that is too much."""
        if not self.knows(job_id, epoch):
            found = await self._steps.of_job(job_id)
            self._sizes.setdefault((job_id, epoch), {step.name: _size(step.name, step.result) for step in found})
            if len(self._sizes) > JOBS_KNOWN:  # it is read again, should it come to that
                del self._sizes[next(iter(self._sizes))]
        sizes = self._sizes.setdefault((job_id, epoch), {})
        size = _size(name, result)
        if (total := sum(sizes.values()) - sizes.get(name, 0) + size) > MOST:
            told = f"the steps of the job would have {total} bytes together; {MOST} are kept. Send files as artefacts"
            raise BadPayload(FieldError("result", told))
        sizes[name] = size

    def forget(self, job_id: JobId, epoch: int) -> None:
        """The lease has ended."""
        self._sizes.pop((job_id, epoch), None)


def _size(name: str, result: Any) -> int:
    return BESIDE + len(name) + len(json.dumps(result))
