"""Explanation of a job that remote workers lease: the usual one, with the workers that were last seen. Pure."""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue.model import Job, Status
from secondunit.queue.ports.holders import holder_of
from secondunit.queue.remote.workers import SeenWorker
from secondunit.queue.sight.explain import Explanation, explain
from secondunit.queue.sight.seen import Seen
from secondunit.queue.value import replace

MOST_TOLD = 3


def explain_remote(
    job: Job, seen: Seen, workers: Sequence[SeenWorker], apart: Sequence[Sequence[str]] = ()
) -> Explanation:
    """Why the job is where it is; `workers` are those of its type, the latest first.

    `apart` are the boxes by what they declare of the type, where they don't agree.
    """
    told = _explained(job, seen, workers)
    if not apart or job.status is not Status.QUEUED:
        return told
    groups = " | ".join(", ".join(boxes) for boxes in apart)
    differs = f"boxes declare {job.type} differently ({groups}): give each the same [remote_types.{job.type}]"
    return replace(told, sentence=f"{told.sentence}; {differs}")


def _explained(job: Job, seen: Seen, workers: Sequence[SeenWorker]) -> Explanation:
    told = explain(job, seen)
    if job.status is Status.RUNNING:
        holder = holder_of(job.lease.boot) if job.lease else None
        return replace(told, sentence=f"{told.sentence}; the worker {holder.worker} has it") if holder else told
    if told.reason not in ("slot", "priority"):
        return told
    asking = any(worker.waiting for worker in workers)
    if told.starts and not asking:
        sentence = f"no worker asks for {job.type} jobs now; {_last(job.type, workers, seen.now)}"
        return Explanation("slot", sentence, None, told.ahead)
    return replace(told, sentence=f"{told.sentence}; {_last(job.type, workers, seen.now)}")


def _last(type: str, workers: Sequence[SeenWorker], now: datetime) -> str:
    if not workers:
        return f"none was seen (POST /api/leases with {type} among its types)"
    named = ", ".join(f"{one.holder.worker} {_when(one, now)}" for one in workers[:MOST_TOLD])
    more = f" and {len(workers) - MOST_TOLD} more" if len(workers) > MOST_TOLD else ""
    return f"workers last seen: {named}{more}"


def _when(worker: SeenWorker, now: datetime) -> str:
    if worker.waiting:
        return "(waits now)"
    return f"({max((now - worker.seen_at).total_seconds(), 0):.0f} s ago)"
