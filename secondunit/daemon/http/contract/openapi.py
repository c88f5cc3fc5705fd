"""OpenAPI 3.1 document, composed from the table of routes and the models of what goes in and out."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from msgspec import Struct
from msgspec.json import schema_components
from pydantic.json_schema import models_json_schema

from secondunit.daemon.http.contract import responses
from secondunit.daemon.http.transport import problems
from secondunit.daemon.http.transport.route import ApiRoute, OneOf

REF = "#/components/schemas/{model}"
IN_PATH = re.compile(r"{(\w+)}")
ALWAYS = (500,)
GUARDED = (401, 403, 421, 429)
HEADERS = {
    "Idempotency-Key": "The same request sent again with this key within 24 hours makes no second job. 1 to 255 visible"
    " ASCII characters; on a batch it stands for the whole batch.",
    "Prefer": "`respond-async`: answer 202 at once, without waiting for the recipe.",
    "Last-Event-ID": "The id of the last message seen: those missed since come first.",
}
ABOUT = """Durable media jobs.

Times are ISO 8601 in UTC; `duration` is in milliseconds. Errors are problem details (RFC 9457); those about input name
each field by its dotted path as it was written: `payload.inputPath`, in a batch `jobs.3.type`."""


def document(routes: Sequence[ApiRoute], version: str) -> dict[str, object]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Second Unit", "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _schemas(routes: Sequence[ApiRoute]) -> Mapping[str, Any]:
    bodies = sorted({route.body for route in routes if route.body}, key=lambda model: model.__name__)
    _, asked = models_json_schema([(model, "validation") for model in bodies], ref_template=REF)
    answers = {route.answer for route in routes if route.answer}
    choices = [answer for answer in answers if isinstance(answer, OneOf)]
    kinds = {kind for answer in answers for kind in (answer.kinds if isinstance(answer, OneOf) else [answer])}
    ordered = sorted(kinds | {responses.Problem}, key=lambda kind: kind.__name__)
    _, answered = schema_components(ordered, ref_template=REF.format(model="{name}"))
    either = {
        one.name: {"title": one.name, "description": one.about, "anyOf": [_ref(kind.__name__) for kind in one.kinds]}
        for one in choices
    }
    return dict(sorted({**asked.get("$defs", {}), **answered, **either}.items()))


def _operation(route: ApiRoute) -> dict[str, Any]:
    summary, _, description = (getdoc(route.handler) or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": route.id,
        "summary": summary.rstrip("."),
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": _security(route),
    }
    if description:
        operation["description"] = description
    if route.body:
        content = {media: {"schema": _ref(route.body.__name__)} for media in route.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: ApiRoute) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in IN_PATH.findall(route.path)
    ]
    in_headers = [
        {"name": name, "in": "header", "description": HEADERS[name], "schema": {"type": "string"}}
        for name in route.headers
    ]
    properties = route.query.model_json_schema()["properties"] if route.query else {}
    in_query = [
        {"name": name, "in": "query", "schema": schema, "style": "form", "explode": False}
        for name, schema in properties.items()
        if name != "token"
    ]
    return [*in_path, *in_query, *in_headers]


def _responses(route: ApiRoute) -> dict[str, Any]:
    schema = _ref(_name(route.answer)) if route.answer else {"type": "string"}
    good = {"content": {route.media: {"schema": schema}}}
    bad = {"content": {problems.MEDIA_TYPE: {"schema": _ref(responses.Problem.__name__)}}}
    guarded = GUARDED if route.scope else ()
    statuses = dict.fromkeys((*route.problems, *guarded, *ALWAYS), bad) | dict.fromkeys(route.success, good)
    statuses |= {204: {}} if 204 in statuses else {}
    return {str(status): {"description": HTTPStatus(status).phrase} | statuses[status] for status in sorted(statuses)}


def _security(route: ApiRoute) -> list[dict[str, list[str]]]:
    if route.scope is None:
        return []
    ways = ["bearer", "header", *(["token"] if route.stream else [])]
    # The empty one: a daemon without any key is open to its own machine.
    required: list[dict[str, list[str]]] = [{way: [scope]} for scope in route.scopes for way in ways]
    return [*required, {}]


def _name(answer: type[Struct] | OneOf) -> str:
    return answer.name if isinstance(answer, OneOf) else answer.__name__


def _ref(model: str) -> dict[str, str]:
    return {"$ref": REF.format(model=model)}
