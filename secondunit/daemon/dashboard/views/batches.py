"""Batches: the list, and one with the graph of its jobs; cancel what is left of it, retry what failed."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from secondunit.daemon.dashboard import layers
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.moves import told
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.http.contract.requests import LARGEST_BATCH
from secondunit.daemon.http.endpoints.batches import batch_of, cancelled, listed, retried
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.follow import slim
from secondunit.queue.model import Filter, Job, Status

AT_ONCE, OF_LEVEL = 20, 100
KINDS = ("retry", "cancel")


async def show(visit: Visit) -> Shown:
    """Batches, newest first."""
    after = visit.query.get("cursor")
    found = await listed(visit.api, visit.caller, after, AT_ONCE + 1)
    rows = found[:AT_ONCE]
    values = {"rows": rows, "older": rows[-1][0].id if len(found) > AT_ONCE else None}
    return Shown("batches/list.html", values, "secondunit batches list", visit.link("/api/batches", limit=AT_ONCE))


async def one(visit: Visit) -> Shown:
    """A batch: its graph, or where that is too large its levels; the jobs of a level if one is asked for."""
    batch = await batch_of(visit.api, visit.caller, visit.parts["batch"])
    jobs = [slim(job) async for job in visit.api.queue.each(Filter(batch=batch.id), LARGEST_BATCH)]
    standing, rows = layers.counted(jobs), layers.levels(jobs)
    asked = visit.query.get("ask")
    values = {
        "batch": batch,
        "standing": standing,
        "statuses": [status.value for status in Status],
        "drawing": layers.drawn(rows),
        "box": (layers.WIDTH, layers.HEIGHT),
        "levels": [(row, layers.counted(row)) for row in rows],
        "level": _level(visit, rows),
        "ask": asked if asked in KINDS and _can(standing)[asked] else None,
        "can": _can(standing),
    }
    return Shown("batches/one.html", values, f"secondunit batches show {batch.id}", f"/api/batches/{batch.id}")


async def change(visit: Visit, request: web.Request) -> Done:
    """Cancel what is left of a batch, or retry what failed of it, and say what came of it."""
    form = await form_of(request)
    batch = await batch_of(visit.api, visit.caller, visit.parts["batch"])
    do = form.get("do", "")
    if do not in KINDS:
        raise BadPayload(FieldError("do", "should be retry or cancel"))
    moved = await (retried if do == "retry" else cancelled)(visit.api, request, batch)
    return Done(f"/batches/{batch.id}", told(visit.texts, do, moved))


def _can(standing: Mapping[str, int]) -> Mapping[str, int]:
    """How many jobs each move concerns."""
    return {
        "retry": standing.get(Status.FAILED, 0),
        "cancel": sum(standing.get(status, 0) for status in (Status.QUEUED, Status.RUNNING)),
    }


def _level(visit: Visit, rows: Sequence[Sequence[Job]]) -> tuple[int, int, Sequence[Job], int | None] | None:
    """The level that is asked for: its number, where its page begins, the jobs of that, and where the next begins."""
    number, start = (_whole(visit.query.get(name, "0")) for name in ("level", "from"))
    if not 0 < number <= len(rows):
        return None
    jobs = rows[number - 1]
    return number, start, jobs[start : start + OF_LEVEL], start + OF_LEVEL if start + OF_LEVEL < len(jobs) else None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
