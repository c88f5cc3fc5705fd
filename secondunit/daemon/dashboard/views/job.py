"""One job: its way and each wait, attempts, steps and their price, deliveries, outputs; what may be done with it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from aiohttp import web

from secondunit.daemon.dashboard.one_job.costs import costs, total
from secondunit.daemon.dashboard.one_job.masking import curl_data, hidden_fields, masked, shown_payload
from secondunit.daemon.dashboard.one_job.outputs import Outputs, url_of
from secondunit.daemon.dashboard.one_job.timeline import timeline
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.files.artifacts import LOG
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.problems import NoSuchDelivery
from secondunit.queue.model import Job
from secondunit.queue.payloads.redaction import redacted

MOST_CHILDREN = 20
SIZES = ("maxRssBytes", "readBytes", "writtenBytes")


class JobPage:
    """The view; `outputs` looks up what jobs wrote."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    async def show(self, visit: Visit) -> Shown:
        """Where it stands, and why; and all that came of it."""
        job = visit.caller.seen(await visit.api.queue.get(visit.parts["id"]))
        job, explained = await visit.api.answers.explain(job.id)
        steps = costs(await visit.api.queue.steps_of(job.id))
        log = await self._outputs.log_of(job)
        values = {
            "job": job,
            "explained": explained,
            "outlook": await visit.api.answers.forecast(job),
            "entries": timeline(job),
            "steps": steps,
            "paid": total(steps),
            "listing": await self._outputs.of(job),
            "log": None if log is None else redacted(log),
            "log_url": url_of(job, LOG),
            "deliveries": [
                (row, redacted(row.notice.target.address)) for row in await visit.api.queue.deliveries_of(job.id)
            ],
            **_figures(job),
            **_spoken(visit, job),
            **await _kin(visit, job),
        }
        return Shown("job.html", values, f"secondunit jobs show {job.id}", f"/api/jobs/{job.id}")


async def send_again(visit: Visit, request: web.Request) -> Done:
    """Send the news of the job's end once more, now."""
    job = visit.caller.seen(await visit.api.queue.get(visit.parts["id"]))
    id = visit.parts["delivery"]
    if all(row.id != id for row in await visit.api.queue.deliveries_of(job.id)):
        raise NoSuchDelivery(f"no delivery of {job.id} has the id {id}")
    row = await visit.api.retry_delivery(id)
    note(request, job.id, f"{row.notice.target.kind} {id}")
    return Done(f"/jobs/{job.id}", visit.texts("job.sent_again"))


def may_submit(visit: Visit, type: str) -> bool:
    """Whether the reader's key submits jobs of this type, and so may have them run again."""
    types = visit.caller.types
    return visit.may("submit") and (types is None or type in types)


def _spoken(visit: Visit, job: Job) -> Mapping[str, Any]:
    """What went in and came out, as it may be looked at."""
    registry = visit.api.queue.registry
    payload = shown_payload(job, registry)
    return {
        "payload": payload,
        "hidden": hidden_fields(job, payload),
        "result": masked(job.result),
        "missing": masked(job.missing),
        "curl": curl_data(job, payload),
        "may_submit": may_submit(visit, job.type) and job.type in registry,
    }


def _figures(job: Job) -> Mapping[str, Any]:
    """What the run counted, and what its programs took of the box."""
    stats = dict(job.stats or {})
    taken = stats.pop("resources", None)
    resources = dict(taken) if isinstance(taken, Mapping) else {}
    return {"stats": masked(stats), "resources": resources, "sizes": SIZES}


async def _kin(visit: Visit, job: Job) -> Mapping[str, Any]:
    """The jobs that it depends on, those that depend on it, and what it belongs to."""
    graph = visit.api.queue.graph
    parents: Sequence[Job] = await graph.parents(job.id) if job.depends_on else ()
    everything = visit.caller.tenant is None
    children = await graph.children(job.id, MOST_CHILDREN) if job.followed and everything else ()
    known = {parent.id for parent in parents}
    return {
        "parents": [
            *chain(((one.id, one) for one in parents), ((id, None) for id in job.depends_on if id not in known))
        ],
        "children": children,
        "schedule": job.labels.get("schedule") if everything else None,
        "again_of": job.labels.get("again_of"),
    }
