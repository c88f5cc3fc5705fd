"""Judges of others read the document: a validator of OpenAPI 3.1, JSON Schema's own meta-schema, and a walk of ours."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.openapi.ours import ours

DOCUMENT: Mapping[str, Any] = ours("1.2.3")
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
TYPES = ["analyze", "deploy", "download", "hls", "locations", "thumbnail", "webp"]
# Keywords of JSON Schema 2020-12 and of OpenAPI 3.1 that we write; a word that is none means nothing to anybody.
KEYWORDS = set(
    "$ref additionalProperties anyOf const contentMediaType description discriminator enum examples exclusiveMaximum"
    " exclusiveMinimum format items maxItems maxLength maximum minItems minLength minimum oneOf pattern properties"
    " required type".split()
)


def schemas(node: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema of the document, and where it stands."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from schemas(value, f"{at}/{index}")
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "schema":
                yield from below(value, f"{at}/{name}")
            elif name == "schemas" and at == "/components":
                for model, schema in value.items():
                    yield from below(schema, f"{at}/{name}/{model}")
            elif name not in ("example", "examples"):
                yield from schemas(value, f"{at}/{name}")


def below(schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A schema and those in it."""
    yield at, schema
    for name, inner in schema.get("properties", {}).items():
        yield from below(inner, f"{at}/{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from below(schema[word], f"{at}/{word}")
    for word in ("anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(word, ())):
            yield from below(inner, f"{at}/{word}/{index}")


def resolved(schema: Any) -> Any:
    """A schema with the components put where they are referred to."""
    return {"$ref": schema["$ref"], "components": DOCUMENT["components"]} if "$ref" in schema else schema


def test_a_validator_of_openapi_has_nothing_to_say() -> None:
    assert list(OpenAPIV31SpecValidator(dict(DOCUMENT)).iter_errors()) == []


def test_every_schema_is_one_of_json_schema_and_has_no_word_that_is_none() -> None:
    found = list(schemas(DOCUMENT))
    assert len(found) > 300
    for at, schema in found:
        Draft202012Validator.check_schema(dict(schema))
        assert schema.keys() <= KEYWORDS, at


def test_no_schema_has_a_default_for_generators_take_what_has_one_for_required() -> None:
    assert [at for at, schema in schemas(DOCUMENT) if "default" in schema] == []
    assert "Default: 320." in SCHEMAS["ThumbnailPayload"]["properties"]["width"]["description"]


def test_what_is_submitted_is_one_of_the_types_each_with_an_example_that_fits_it_alone() -> None:
    submit = SCHEMAS["SubmitAsk"]
    mapping = submit["discriminator"]["mapping"]
    assert list(mapping) == TYPES and [one["$ref"] for one in submit["oneOf"]] == list(mapping.values())
    shown = DOCUMENT["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert list(shown) == TYPES
    for type in TYPES:
        fitting = [
            other
            for other in TYPES
            if Draft202012Validator(resolved({"$ref": mapping[other]})).is_valid(shown[type]["value"])
        ]
        assert fitting == [type]


def test_a_submit_needs_a_type_and_its_payload_alone() -> None:
    for type in TYPES:
        one = SCHEMAS[f"Submit{type.capitalize()}"]
        assert one["required"] == ["type", "payload"] and one["properties"]["type"]["const"] == type
        assert one["properties"]["payload"] == {"$ref": f"#/components/schemas/{type.capitalize()}Payload"}
    assert SCHEMAS["WebpPayload"]["required"] == ["inputPath", "outputPath"]


@pytest.mark.parametrize("path", ["/api/events", "/api/jobs/{id}/stream"])
def test_the_messages_of_a_stream_stand_beside_it(path: str) -> None:
    content = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    events = content["x-events"]
    assert events and all(one["$ref"].rpartition("/")[2] in SCHEMAS for one in events.values())
    assert content["schema"]["type"] == "string"


def test_the_callback_of_a_job_is_a_webhook_and_a_callback_of_the_call_that_asks_for_it() -> None:
    [[name, asked]] = DOCUMENT["paths"]["/api/jobs"]["post"]["callbacks"].items()
    assert asked == {"{$request.body#/callback}": {"$ref": f"#/webhooks/{name}"}}
    call = DOCUMENT["webhooks"][name]["post"]
    assert call["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/JobEnded"}
    assert [one["name"] for one in call["parameters"] if one["required"]] == [
        "webhook-id", "webhook-timestamp", "Secondunit-Epoch",
    ]  # fmt: skip


def test_what_is_done_with_an_accepted_job_is_linked_to_calls_that_are_there() -> None:
    calls = {call["operationId"] for methods in DOCUMENT["paths"].values() for call in methods.values()}
    links = DOCUMENT["paths"]["/api/jobs"]["post"]["responses"]["201"]["links"]
    assert {link["operationId"] for link in links.values()} <= calls and "jobs.show" in links


def test_every_tag_is_explained_and_used() -> None:
    calls = [call for methods in DOCUMENT["paths"].values() for call in methods.values()]
    used = {tag for call in calls for tag in call["tags"]} | {"callbacks"}
    assert {tag["name"] for tag in DOCUMENT["tags"]} == used
    assert [tag["name"] for tag in DOCUMENT["tags"] if not tag.get("description")] == []


def test_every_call_says_which_scope_it_needs() -> None:
    for methods in DOCUMENT["paths"].values():
        for call in methods.values():
            scopes = {scope for way in call["security"] for asked in way.values() for scope in asked}
            told = re.findall(r"`(\w+)`", call["description"].rpartition("Scope: ")[2]) if call["security"] else []
            assert scopes == set(told) and ("Needs no key." in call["description"]) == (not scopes)
