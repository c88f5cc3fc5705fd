"""JSON Schemas of the document's components, from the models that check requests and the structs that are answers.

No schema has `default`, since generators of clients take what has one for required: what is meant is told instead.
"""

import json
from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any

from msgspec import Struct
from msgspec.json import schema_components
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from secondunit.daemon.http.transport.route import OneOf

REF = "#/components/schemas/{model}"
NAMED = ("properties", "$defs", "patternProperties")  # schemas by names, which may be those of keywords
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
NESTED = ("items", "additionalProperties", "propertyNames", "contains", "not")

Schema = dict[str, Any]


def ref(model: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": REF.format(model=model)}


def asked(models: Iterable[type[BaseModel]]) -> Mapping[str, Schema]:
    """The schemas of what is sent, and of all that they refer to."""
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    return {name: cleaned(schema) for name, schema in found.get("$defs", {}).items()}


def answered(answers: Iterable[type[Struct] | OneOf]) -> Mapping[str, Schema]:
    """The schemas of what is answered, and of all that they refer to."""
    all_answers = set(answers)
    choices = [answer for answer in all_answers if isinstance(answer, OneOf)]
    kinds = {kind for answer in all_answers for kind in (answer.kinds if isinstance(answer, OneOf) else (answer,))}
    _, found = schema_components(sorted(kinds, key=lambda kind: kind.__name__), ref_template=REF.format(model="{name}"))
    either = {
        one.name: {"description": one.about, "anyOf": [ref(kind.__name__) for kind in one.kinds]} for one in choices
    }
    return {name: cleaned(schema) for name, schema in {**found, **either}.items()}


def name_of(answer: type[Struct] | OneOf) -> str:
    """The name of its component."""
    return answer.name if isinstance(answer, OneOf) else answer.__name__


def cleaned(schema: Schema) -> Schema:
    """The schema without defaults and made-up titles, its descriptions without indentation."""
    kept: Schema = {}
    for key, value in schema.items():
        if key in NAMED:
            kept[key] = {name: cleaned(inner) for name, inner in value.items()}
        elif key in LISTED:
            kept[key] = [cleaned(inner) for inner in value]
        elif key in NESTED and isinstance(value, dict):
            kept[key] = cleaned(value)
        elif key not in ("default", "title"):
            kept[key] = value
    told = [cleandoc(schema["description"])] if schema.get("description") else []
    if schema.get("default") not in (None, [], {}):
        told = [text if text.endswith(".") else f"{text}." for text in told]
        told.append(f"Default: {json.dumps(schema['default'])}.")
    return kept | ({"description": " ".join(told)} if told else {})


def without_null(schema: Schema) -> Schema:
    """The schema of a value that can't be null where it is written."""
    branches: list[Schema] = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    return {key: value for key, value in schema.items() if key != "anyOf"} | branches[0]
