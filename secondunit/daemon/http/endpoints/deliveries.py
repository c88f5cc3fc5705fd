"""Delivery endpoints: the news of a job's end, on its way."""

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.auth import job_of
from secondunit.daemon.http.transport.problems import NoSuchDelivery
from secondunit.daemon.http.transport.replies import reply


async def of_job(api: Api, request: web.Request) -> web.Response:
    """The last deliveries of a job, oldest first: at most 200, and of what they carry 8 MiB."""
    job = await job_of(api, request)
    return reply(serialize.deliveries(await api.queue.deliveries_of(job.id)))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Send a delivery again now, also one that was given up or that its receiver lost."""
    id = request.match_info["id"]
    try:
        row = await api.retry_delivery(id)
    except KeyError:
        raise NoSuchDelivery(f"no delivery has the id {id}") from None
    note(request, row.notice.job_id, f"{row.notice.target.kind} {id}")
    return reply(serialize.delivery(row))
