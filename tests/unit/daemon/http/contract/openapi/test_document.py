"""The document is made of the table of routes: nothing stands in it that is not served, and nothing is missing."""

import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract.openapi.document import document
from secondunit.daemon.http.contract.openapi.operations import HEADERS
from secondunit.daemon.http.contract.openapi.problem_answers import ALWAYS, GUARDED
from secondunit.daemon.http.contract.requests import EventsQuery, ListQuery, SubmitAsk
from secondunit.daemon.http.contract.responses import Jobs
from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute

WHOLE: Any = document(ROUTES, "1.2.3")


async def look(api: Api, request: web.Request) -> web.StreamResponse:
    """Look at things.

    For long.
    """
    raise NotImplementedError


def operation(**fields: Any) -> Any:
    route = ApiRoute(
        **{"id": "things.look", "method": "GET", "path": "/things/{name}", "handler": look, "scope": "read", **fields}
    )
    made: Any = document([route], "1")
    return made["paths"]["/things/{name}"][route.method.lower()]


def references(node: Any) -> Iterator[str]:
    """Every $ref below here."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_a_handlers_docstring_is_what_its_call_is_about() -> None:
    made = operation()
    assert (made["summary"], made["description"]) == ("Look at things", "For long.\n\nScope: `read`.")
    assert (made["operationId"], made["tags"]) == ("things.look", ["things"])
    assert operation(scope=None)["description"] == "For long.\n\nNeeds no key."


def test_what_is_in_the_path_the_query_and_the_head_is_named_there_and_the_key_is_not() -> None:
    made = operation(query=EventsQuery, headers=["Last-Event-ID"])
    places = {parameter["name"]: parameter["in"] for parameter in made["parameters"]}
    assert places == {
        "name": "path",
        "jobId": "query",
        "type": "query",
        "lastEventId": "query",
        "Last-Event-ID": "header",
    }
    assert made["parameters"][0]["required"] is True


def test_only_what_needs_a_key_is_refused_without_one() -> None:
    guarded, opened = operation(problems=[404]), operation(scope=None)
    assert set(guarded["responses"]) == {"200", "404", *map(str, GUARDED), *map(str, ALWAYS)}
    assert set(opened["responses"]) == {"200", *map(str, ALWAYS)} and opened["security"] == []
    assert guarded["security"] == [{"bearer": ["read"]}, {"header": ["read"]}, {}]
    assert {"token": ["read"]} in operation(stream=True)["security"]


def test_an_answer_goes_before_a_problem_of_the_same_status() -> None:
    made = operation(answer=Jobs, success=(200, 503), problems=[503])["responses"]
    assert made["503"]["content"] == made["200"]["content"]
    assert made["500"] == {"$ref": "#/components/responses/Problem500"}


def test_a_body_is_required_in_each_form_that_is_taken() -> None:
    made = operation(method="POST", body=SubmitAsk, takes=("application/json", "multipart/form-data"))
    assert made["requestBody"]["required"] is True
    assert list(made["requestBody"]["content"]) == ["application/json", "multipart/form-data"]
    assert "requestBody" not in operation()


def test_every_call_that_is_served_stands_in_it_under_a_name_of_its_own() -> None:
    written = {(method.upper(), path): made for path, calls in WHOLE["paths"].items() for method, made in calls.items()}
    assert written.keys() == {(route.method, route.path) for route in ROUTES}
    assert len({made["operationId"] for made in written.values()}) == len(ROUTES)
    assert [name for name, made in written.items() if not made["summary"]] == []


def test_every_reference_leads_to_a_schema_that_is_there() -> None:
    kinds = ("schemas", "responses")
    there = {f"#/components/{kind}/{name}" for kind in kinds for name in WHOLE["components"][kind]}
    assert set(references(WHOLE)) <= there | {f"#/webhooks/{name}" for name in WHOLE["webhooks"]}
    assert set(references(WHOLE["paths"])) > set()


def test_every_header_that_a_call_reads_is_explained() -> None:
    read = {header for route in ROUTES for header in route.headers}
    assert read == HEADERS.keys(), "one that nobody reads has no place in the document"


def test_every_key_in_a_path_is_a_parameter() -> None:
    for path, calls in WHOLE["paths"].items():
        for made in calls.values():
            named = [parameter["name"] for parameter in made["parameters"] if parameter["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)


def test_an_answer_without_content_has_none_and_one_that_leads_elsewhere_says_so() -> None:
    made = operation(answer=Jobs, success=(201, 204, 302))["responses"]
    assert "content" in made["201"] and "content" not in made["204"] | made["302"]
    assert "Location" in made["201"]["headers"] and "Location" in made["302"]["headers"]


def test_a_problem_names_the_words_of_its_status_and_when_to_come_back() -> None:
    answers = WHOLE["components"]["responses"]
    assert "urn:secondunit:problem:job-not-found" in answers["Problem404"]["description"]
    assert "Retry-After" in answers["Problem503"]["headers"] and "headers" not in answers["Problem404"]
    assert answers["Problem401"]["headers"].keys() == {"WWW-Authenticate"}


def test_what_can_not_be_null_in_a_query_is_not_null_there() -> None:
    cursor = next(one for one in operation(query=ListQuery)["parameters"] if one["name"] == "cursor")
    assert cursor["schema"]["type"] == "string" and "required" not in cursor
