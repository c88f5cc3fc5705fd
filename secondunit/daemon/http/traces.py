"""Traces of requests: jobs keep the `traceparent` that they came with, and who measures a request is told its jobs."""

from collections.abc import Sequence

from aiohttp import web

from secondunit.daemon.trace_context import HEADER, labels
from secondunit.queue.model import Job, Submission
from secondunit.queue.value import replace

MADE = web.RequestKey("jobs that it made", list)


def traced(request: web.Request, asked: Sequence[Submission]) -> Sequence[Submission]:
    """What is asked for, with the trace that the request is a part of, if it names one."""
    own = labels(request.headers.getall(HEADER)) if HEADER in request.headers else None
    return [replace(one, labels={**one.labels, **own}) for one in asked] if own else asked


def note_made(request: web.Request, stored: Sequence[tuple[Job, bool]]) -> None:
    """Remember the jobs that this request made, not those that were there."""
    request[MADE] = [job for job, created in stored if created]


def made(request: web.Request) -> Sequence[Job]:
    """The jobs that this request made."""
    jobs: Sequence[Job] = request.get(MADE, ())
    return jobs
