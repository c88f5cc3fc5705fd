"""Job types in the document: what is submitted is one of them, told apart by `type`, each with an example."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from secondunit.daemon.config.plugin_guard import payload_schema
from secondunit.daemon.http.contract.openapi.schemas import REF, Schema, cleaned, ref
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.value import Value

NO_LETTERS = re.compile(r"[^A-Za-z0-9]+")
INNER = "#/$defs/"
SAID = ("description", "title", "examples", "deprecated")
REFERENCE: Mapping[str, Schema] = {
    "ParentResult": {
        "type": "object",
        "description": (
            "May stand in place of any value of a payload, within lists and objects too, and is filled from the "
            "`result` of another job when this one starts, which depends on it thereby. Where there is no such result "
            "this job fails with `no_such_result`."
        ),
        "properties": {
            "$from": {
                "type": "string", "minLength": 1,
                "description": "the other job's id, or within a batch its `ref`",
            },
            "path": {
                "type": "string", "minLength": 1,
                "description": "into it by names and numbers, such as `renditions.0.path`; without it all is meant",
            },
        },
        "required": ["$from"],
        "additionalProperties": False,
        "examples": [{"$from": "film", "path": "outputPath"}],
    }
}  # fmt: skip


class TypeSchema(Value, frozen=True):
    """A job type: `word` names its components, `schema` is that of its payload.

    `open`: it says itself whether it takes fields that it does not name.
    """

    type: str
    word: str
    schema: Schema
    open: bool = False

    @property
    def example(self) -> Any:
        """What may be submitted; None where no payload is shown."""
        shown = self.schema.get("examples")
        return {"type": self.type, "payload": shown[0]} if shown else None


def type_schemas(specs: Iterable[HandlerSpec]) -> Sequence[TypeSchema]:
    """The job types, by name."""
    found: list[TypeSchema] = []
    for spec in sorted(specs, key=lambda spec: spec.type):
        word = _word(spec.type, {one.word for one in found})
        found.append(TypeSchema(spec.type, word, dict(payload_schema(spec)), spec.remote))
    return found


def submits(types: Sequence[TypeSchema], name: str, base: Schema, prefix: str = "Submit") -> Mapping[str, Schema]:
    """The components of what is submitted: `base`, by each type; `base` alone, under its name, where there is none."""
    found: dict[str, Schema] = {**REFERENCE} if types else {}
    for one in types:
        found |= _payload(one.schema, f"{one.word}Payload", _as_said if one.open else _closed)
        own = {"type": {"type": "string", "const": one.type}, "payload": ref(f"{one.word}Payload")}
        found[f"{prefix}{one.word}"] = base | {
            "description": f"A job of type `{one.type}`.",
            "properties": base["properties"] | own,
            **({"examples": [one.example]} if one.example else {}),
        }
    return {name: _either(types, base, prefix) if types else base} | found


def examples(types: Sequence[TypeSchema]) -> Mapping[str, Any]:
    """An example for each type that has one, as a request body lists them."""
    shown = {one.type: one.example for one in types if one.example}
    return {type: {"summary": f"A job of type {type}", "value": value} for type, value in shown.items()}


def _either(types: Sequence[TypeSchema], base: Schema, prefix: str) -> Schema:
    named = {one.type: ref(f"{prefix}{one.word}") for one in types}
    mapping = {type: reference["$ref"] for type, reference in named.items()}
    return {
        "description": base["description"],
        "oneOf": list(named.values()),
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _word(type: str, taken: Collection[str]) -> str:
    """The type as a part of a component's name."""
    word = "".join(part[:1].upper() + part[1:] for part in NO_LETTERS.split(type))
    return word if word not in taken else _word(f"{type}2", taken)


def _payload(schema: Schema, name: str, finished: Callable[[Schema], Schema]) -> Mapping[str, Schema]:
    """The payload's schema and, named after it, those that it refers to."""
    inner = {f"{name}.{inside}": found for inside, found in schema.get("$defs", {}).items()}
    whole = {name: {key: value for key, value in schema.items() if key != "$defs"}, **inner}
    moved = json.loads(json.dumps(whole).replace(INNER, REF.format(model=f"{name}.")))
    whole = {name: finished(cleaned(found)) for name, found in moved.items()}
    return whole | {name: _referring(whole[name])}


def _referring(payload: Schema) -> Schema:
    """What each field takes, or a reference; what is said of it stays with the field."""
    if "properties" not in payload:
        return payload
    [reference] = REFERENCE
    fields = dict(payload["properties"])
    for name, field in fields.items():
        if not isinstance(field, Mapping):
            continue  # `true`, which takes anything
        said = {word: field[word] for word in SAID if word in field}
        own = {word: value for word, value in field.items() if word not in SAID}
        fields[name] = said | {
            "anyOf": [*own["anyOf"], ref(reference)] if own.keys() == {"anyOf"} else [own, ref(reference)]
        }
    return payload | {"properties": fields}


def _closed(schema: Schema) -> Schema:
    """The queue refuses unknown fields, whatever the model says."""
    return schema | {"additionalProperties": False} if "properties" in schema else schema


def _as_said(schema: Schema) -> Schema:
    return schema
