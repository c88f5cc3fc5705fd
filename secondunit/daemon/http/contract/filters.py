"""Filters that callers give, as the queue's: jobs they may know of, narrowed by a query."""

from datetime import datetime

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.http.contract.requests import BulkAsk, FilterAsk, ListQuery
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, Status
from secondunit.queue.sight.query import searched


def filter_of(ask: FilterAsk | ListQuery, by: Caller, registry: Registry, now: datetime, at: str = "q") -> Filter:
    """The queue's filter, of jobs that the caller may know of; `at` is the path of its query."""
    ids = ask.ids if isinstance(ask, FilterAsk) else ()
    named = Filter([Status(word) for word in ask.status], ask.type, ids, by.tenant)
    try:
        return searched(named, ask.q, now, {type: tuple(spec.secrets) for type, spec in registry.items()})
    except BadPayload as refused:
        raise BadPayload(*(FieldError(at, fault.message) for fault in refused.errors)) from None


def bulk_filter(ask: BulkAsk, by: Caller, registry: Registry, now: datetime) -> Filter:
    """The filter of a move for many, which may not mean all jobs by saying nothing."""
    found = filter_of(ask.filter, by, registry, now, "filter.q")
    if not (found.statuses or found.types or found.ids or found.terms):
        raise BadPayload(FieldError("filter", "an empty filter would mean every job; name a status, a type, ids or q"))
    return found


def meant(ask: BulkAsk) -> str:
    """Which jobs a move is for in a line, for the audit trail."""
    fields = ask.filter.model_dump(exclude_defaults=True, exclude={"q"})
    named = [f"{name}={','.join(words[:5])}{',...' if len(words) > 5 else ''}" for name, words in fields.items()]
    named += [f"q={ask.filter.q}"] if ask.filter.q else []
    return " ".join(named)
