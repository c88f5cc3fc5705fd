"""OpenAPI 3.1 document, composed from the table of routes, the models of what goes in and out, and the job types."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondunit.daemon.delivery.webhooks import BatchEnded, JobEnded
from secondunit.daemon.http.contract.openapi.job_types import TypeSchema, submits, type_schemas
from secondunit.daemon.http.contract.openapi.messages import webhooks
from secondunit.daemon.http.contract.openapi.operations import operation, tags
from secondunit.daemon.http.contract.openapi.problem_answers import problem_answers
from secondunit.daemon.http.contract.openapi.schemas import Schema, answered, asked
from secondunit.daemon.http.contract.responses import Problem
from secondunit.daemon.http.transport.route import ApiRoute
from secondunit.queue.handler import HandlerSpec

ABOUT = """Durable media jobs.

Times are ISO 8601 in UTC; `duration` is in milliseconds. Errors are problem details (RFC 9457); those about input name
each field by its dotted path as it was written: `payload.inputPath`, in a batch `jobs.3.type`. In requests a field that
is null is one that was left out."""
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key; the scope that a call needs stands beside it.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The same key, on event streams only: EventSource sends no headers.",
    },
}


def document(routes: Sequence[ApiRoute], version: str, specs: Sequence[HandlerSpec] = ()) -> dict[str, object]:
    """The whole document, with these job types."""
    types = type_schemas(specs)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(route, types)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Second Unit",
            "version": version,
            "summary": "Durable media jobs over HTTP",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(routes),
        "paths": paths,
        "webhooks": webhooks(),
        "components": {
            "schemas": _schemas(routes, types),
            "responses": problem_answers(),
            "securitySchemes": SCHEMES,
        },
    }


def _schemas(routes: Sequence[ApiRoute], types: Sequence[TypeSchema]) -> Mapping[str, Schema]:
    bodies = sorted({route.body for route in routes if route.body}, key=lambda model: model.__name__)
    told = {kind for route in routes for kind in (route.answer, *route.messages.values()) if kind}
    requests, answers = asked(bodies), answered({*told, Problem, JobEnded, BatchEnded})
    by_type: dict[str, Schema] = {}
    for name, prefix in (("SubmitAsk", "Submit"), ("BatchJobAsk", "BatchSubmit")):
        by_type |= submits(types, name, requests[name], prefix) if name in requests else {}
    return dict(sorted({**requests, **answers, **by_type}.items()))
