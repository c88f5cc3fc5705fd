"""Placement of a run: whether its inputs, once they are known, lie on another box; then the job goes there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from secondunit.queue import state
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Job, Lease
from secondunit.queue.outcome import Moved
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.store import Store


async def misplaced(
    job: Job, lease: Lease, spec: HandlerSpec, payload: Mapping[str, Any], store: Store, here: Locality, now: datetime
) -> Moved | None:
    """Where the job has to go, by what its parents left and where; one that is right here is bound to this box."""
    if here.alone or not job.depends_on:
        return None
    home = here.home(job, spec.inputs(payload), await store.graph.parents(job.id))
    if home is not None and home != here.box:
        return Moved(home, f"its input is a local file of the box {home}, so it runs there")
    if home is not None and home != job.box:
        await store.change(job.id, lambda job: state.bind(job, home, now), lease=lease)
    return None
