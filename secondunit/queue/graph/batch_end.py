"""Batch outcome: how a batch ended, by how its jobs did, and what its receiver is told. Pure."""

from collections.abc import Mapping
from datetime import datetime

from secondunit.queue.graph.moves import SUCCEEDED
from secondunit.queue.model import Batch, Job, Notice, Status, Target

BATCH = "batch"


def outcome(by_status: Mapping[Status, int]) -> Status:
    """Completed when every job is, failed when none succeeded, and partial for all in between."""
    if not any(by_status.get(status) for status in SUCCEEDED):
        return Status.FAILED
    whole = by_status.get(Status.COMPLETED) == sum(by_status.values())
    return Status.COMPLETED if whole else Status.PARTIAL


def notice(batch: Batch, last: Job, by_status: Mapping[Status, int], now: datetime) -> Notice | None:
    """What is told of a batch's end, which the end of its `last` job was."""
    if batch.target is None:
        return None
    return Notice(
        target=Target(BATCH, batch.target.address),
        job_id=last.id,
        job_type=last.type,
        status=outcome(by_status),
        epoch=last.epoch,
        at=now,
        result={"batch": batch.id, "by_status": {status.value: n for status, n in by_status.items() if n}},
        error=None,
        duration=now - batch.created_at,
        source=last.source,
        labels={},
    )
