"""Job list: found by one query that stays in the address; retry and cancel one, those chosen, or all that match."""

import re
from collections.abc import Mapping
from functools import partial
from shlex import quote
from typing import Any

from aiohttp import web
from multidict import MultiDict

from secondunit.daemon.access.positions import Positions
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.moves import told
from secondunit.daemon.dashboard.page import Done, Shown, Visit, local_path
from secondunit.daemon.http.contract import filters, requests
from secondunit.daemon.http.endpoints.jobs import retry_own, told_first
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.model import Filter, Job, Page, Status
from secondunit.queue.payloads.secret_fields import struck

AT_ONCE, FIRST = 50, 5
STATUS = re.compile(r"(?:^|(?<=\s))status:\S+(?:\s+|$)")
KINDS = ("retry", "cancel")


async def show(visit: Visit) -> Shown:
    """A page of the jobs that a query finds, newest first."""
    q, fault = visit.query.get("q", "").strip(), ""
    try:
        page = await _found(visit, q)
    except BadPayload as refused:
        page, fault = Page([], 0, None), "; ".join(error.message for error in refused.errors)
    values = {
        "q": q,
        "fault": fault,
        "rows": [(job, subject_of(visit, job)) for job in page.jobs],
        "outlook": visit.api.answers.forecast.at_once,
        "total": page.total,
        "truncated": page.truncated,
        "older": None if page.next_cursor is None else _places(visit).shown(page.next_cursor),
        "chips": [
            ("", without_status(q)),
            *((one.value, f"{without_status(q)} status:{one}".strip()) for one in Status),
        ],
        "chosen": next(iter(STATUS.findall(f"{q} ")), "").strip().removeprefix("status:"),
    }
    command = f"secondunit jobs list -q {quote(q)}" if q else "secondunit jobs list"
    return Shown("jobs.html", values, command, visit.link("/api/jobs", limit=AT_ONCE, q=q or None))


async def confirm(visit: Visit) -> Shown:
    """The question before something is done to jobs, with their number in it."""
    do, ids, q = visit.query.get("do", ""), visit.query.getall("id", []), visit.query.get("q", "").strip()
    if do not in KINDS:
        raise BadPayload(FieldError("do", "should be retry or cancel"))
    if not ids and not visit.query.get("all"):
        return Shown("jobs_none.html", {"q": q})
    page = await visit.api.queue.find(_bulk(visit, ids, q), None, FIRST)
    rows = [(job, subject_of(visit, job)) for job in page.jobs]
    values: dict[str, Any] = {"do": do, "ids": ids, "q": q, "rows": rows, "back": visit.query.get("back", "")}
    values |= {"total": page.total, "truncated": page.truncated}
    how = f"-q {quote(q)}" if not ids else ids[0] if len(ids) == 1 else ""
    return Shown("jobs_confirm.html", values, f"secondunit jobs {do} {how}" if how else "")


async def act(visit: Visit, request: web.Request) -> Done:
    """Retry or cancel jobs, and say of how many that was done and of how many not, and why."""
    form = await form_of(request)
    do, ids, q = form.get("do", ""), form.getall("id", []), form.get("q", "").strip()
    if do not in KINDS:
        raise BadPayload(FieldError("do", "should be retry or cancel"))
    ask, meant = _ask(ids, q), _bulk(visit, ids, q)
    move = partial(retry_own, visit.api, visit.caller) if do == "retry" else visit.api.queue.cancel_all
    target, action = (ids[0], do) if len(ids) == 1 else (None, f"bulk {do}")
    moved = await told_first(request, ask, partial(move, meant), target, action)
    back = local_path(form.get("back"), visit.link("/jobs", q=q or None))
    return Done(back, told(visit.texts, do, moved))


def subject_of(visit: Visit, job: Job) -> str:
    """What a job is about, for a list: the first text of its payload that is no secret."""
    registry = visit.api.queue.registry
    secrets = registry[job.type].secrets if job.type in registry else job.payload.keys()
    payload: Mapping[str, Any] = struck(job.payload, secrets)
    return next((value for name, value in payload.items() if isinstance(value, str) and name not in secrets), "")


def without_status(q: str) -> str:
    """The query for jobs of any status."""
    return STATUS.sub("", q).strip()


async def _found(visit: Visit, q: str) -> Page:
    asked = {"limit": str(AT_ONCE)} | ({"q": q} if q else {})
    asked |= {"cursor": visit.query["cursor"]} if "cursor" in visit.query else {}
    ask = requests.query(requests.ListQuery, MultiDict(asked))
    meant = filters.filter_of(ask, visit.caller, visit.api.queue.registry, visit.api.clock.now())
    return await visit.api.queue.find(meant, requests.cursor_of(ask, _places(visit)), AT_ONCE)


def _places(visit: Visit) -> Positions:
    """The numbers of jobs as this key is told them."""
    return Positions(visit.api.queue.secret, visit.caller.tenant, "jobs")


def _ask(ids: list[str], q: str) -> requests.BulkAsk:
    named: dict[str, Any] = {"ids": ids} if ids else {"q": q}
    return requests.taken(requests.BulkAsk, {"filter": named})


def _bulk(visit: Visit, ids: list[str], q: str) -> Filter:
    """The jobs that are named, else those that the query finds, of those that the reader may know of."""
    api = visit.api
    return filters.bulk_filter(_ask(ids, q), visit.caller, api.queue.registry, api.clock.now())
