"""Operations of the document: a route with its parameters, its body, each status that it answers, and its scope."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from inspect import getdoc, getmodule
from typing import Any

from secondunit.daemon.http.contract.openapi import messages
from secondunit.daemon.http.contract.openapi.job_types import TypeSchema, examples
from secondunit.daemon.http.contract.openapi.problem_answers import ALWAYS, GUARDED, problem_ref
from secondunit.daemon.http.contract.openapi.schemas import Schema, cleaned, name_of, ref, without_null
from secondunit.daemon.http.contract.requests import SubmitAsk
from secondunit.daemon.http.transport.route import ApiRoute

IN_PATH = re.compile(r"{(\w+)}")
ANYTHING = "*/*"
WITHOUT_CONTENT = (204, 302, 304)
PLACED = (201, 202, 302)
LOCATION = {"Location": {"description": "where it is found", "schema": {"type": "string", "format": "uri-reference"}}}
# What to do with a job that was accepted.
LINKS = {
    call: {"operationId": call, "parameters": {"id": "$response.body#/jobId"}}
    for call in ("jobs.show", "jobs.cancel", "jobs.retry", "deliveries.of_job", "artifacts.of_job", "stream.follow")
}
HEADERS = {
    "Idempotency-Key": "The same request sent again with this key within 24 hours makes no second job. 1 to 255 visible"
    " ASCII characters; on a batch it stands for the whole batch.",
    "Prefer": "`respond-async`: answer 202 at once, without waiting for the recipe.",
    "Last-Event-ID": "The id of the last message seen: those missed since come first.",
    "Range": "One range of bytes, `bytes=0-1023`, of a file that is served from here.",
}
TEXT: Schema = {"type": "string"}
VALUES = {"Idempotency-Key": TEXT | {"pattern": "^[!-~]{1,255}$"}}


def operation(route: ApiRoute, types: Sequence[TypeSchema]) -> dict[str, Any]:
    """One route, on a daemon with these job types."""
    summary, _, description = (getdoc(route.handler) or "").partition("\n\n")
    own = ", or `submit` for what came under the key itself" if route.own else ""
    scope = f"Scope: `{route.scope}`{own}." if route.scope else "Needs no key."
    made: dict[str, Any] = {
        "operationId": route.id,
        "tags": [_tag(route)],
        "summary": summary.rstrip("."),
        "description": f"{description}\n\n{scope}".strip(),
        "parameters": _parameters(route, types),
        "responses": _responses(route),
        "security": _security(route),
    }
    if route.body:
        made["requestBody"] = _body(route, examples(types))
    if route.body and route.body.__name__ in messages.CALLBACKS:
        made["callbacks"] = messages.CALLBACKS[route.body.__name__]
    return made


def tags(routes: Sequence[ApiRoute]) -> Sequence[Mapping[str, str]]:
    """The groups of calls, each with what its endpoints' module says of itself."""
    about = {_tag(route): (getdoc(getmodule(route.handler)) or "").partition("\n")[0] for route in reversed(routes)}
    groups = {_tag(route): about[_tag(route)] for route in routes}
    return [{"name": name, "description": told} for name, told in (groups | messages.TAG).items()]


def _tag(route: ApiRoute) -> str:
    """The group that it stands in: clients that are made from the document name classes by it."""
    return route.id.partition(".")[0]


def _body(route: ApiRoute, shown: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": ref(route.body.__name__)} for media in route.takes if route.body}
    if route.body is SubmitAsk and shown:
        content[route.takes[0]]["examples"] = shown
    return {"required": True, "content": content}


def _parameters(route: ApiRoute, types: Sequence[TypeSchema]) -> list[dict[str, Any]]:
    known = {"type": TEXT | {"enum": [one.type for one in types]}} if types else {}
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": known.get(name, TEXT | {"minLength": 1})}
        for name in IN_PATH.findall(route.path)
    ]
    in_headers = [
        {"name": name, "in": "header", "description": HEADERS[name], "schema": VALUES.get(name, TEXT)}
        for name in route.headers
    ]
    properties = route.query.model_json_schema()["properties"] if route.query else {}
    in_query = [_in_query(name, schema) for name, schema in properties.items() if name != "token"]
    return [*in_path, *in_query, *in_headers]


def _in_query(name: str, schema: Schema) -> dict[str, Any]:
    kept = without_null(cleaned(schema))
    if isinstance(words := kept.get("items"), dict):
        kept["items"] = _or_empty(words)
    about = {"description": kept.pop("description")} if "description" in kept else {}
    return {"name": name, "in": "query", **about, "schema": kept, "style": "form", "explode": False}


def _or_empty(word: Schema) -> Schema:
    """A word of a list in a query, where an empty one says nothing: `?status=` is as if it were not there."""
    told = {key: value for key, value in word.items() if key != "minLength"}
    return told | ({"enum": [*word["enum"], ""]} if "enum" in word else {})


def _responses(route: ApiRoute) -> dict[str, Any]:
    guarded = GUARDED if route.scope else ()
    bad = {status: problem_ref(status) for status in (*route.problems, *guarded, *ALWAYS)}
    statuses = bad | {status: _success(route, status) for status in route.success}
    return {str(status): statuses[status] for status in sorted(statuses)}


def _success(route: ApiRoute, status: int) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status in PLACED:
        made["headers"] = LOCATION
    if route.body is SubmitAsk:
        made["links"] = LINKS
    if status not in WITHOUT_CONTENT:
        made["content"] = _content(route)
    return made


def _content(route: ApiRoute) -> dict[str, Any]:
    if route.messages:
        return messages.stream(route.media, route.messages)
    if route.answer is None:
        return {route.media: {} if route.media == ANYTHING else {"schema": {"type": "string"}}}
    return {route.media: {"schema": ref(name_of(route.answer))}}


def _security(route: ApiRoute) -> list[dict[str, list[str]]]:
    """What a call needs: a key of one of its scopes, sent in one of these ways; or a daemon without any key."""
    if route.scope is None:
        return []
    ways = ["bearer", "header", *(["token"] if route.stream else [])]
    required: list[dict[str, list[str]]] = [{way: [scope]} for scope in route.scopes for way in ways]
    return [*required, {}]
