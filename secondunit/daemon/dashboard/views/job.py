"""One job."""

from secondunit.daemon.dashboard.page import Shown, Visit


async def show(visit: Visit) -> Shown:
    """Where it stands, and why."""
    job = visit.caller.seen(await visit.api.queue.get(visit.parts["id"]))
    _, explained = await visit.api.answers.explain(job.id)
    values = {"job": job, "explained": explained}
    return Shown("job.html", values, f"secondunit jobs show {job.id}", f"/api/jobs/{job.id}")
