"""Page of the job types: what the payload of each may hold, from the document that a daemon serves."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs.cells import cell, row

HEAD = """\
# Payloads

What a job of each type may hold. A field that is not listed is refused, with its name. Paths lie below `MEDIA_ROOTS`.
Any value may be a reference to another job's result instead, `{"$from": "REF_OR_ID", "path": "outputPath"}`
([batches](../batches.md)).
What `POST /api/jobs` takes beside `type` and `payload`:
"""
REF = "#/components/schemas/"
RESULT = {"$ref": f"{REF}ParentResult"}  # which may stand for any field
Schemas = Mapping[str, Mapping[str, Any]]


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    schemas = document["components"]["schemas"]
    lines = [HEAD, *_table(schemas, "SubmitHls", ("type", "payload"))]
    for name in payload_names(schemas):
        schema = schemas[name]
        type = name.removesuffix("Payload").lower()
        lines += ["", f"## {type}", "", *_table(schemas, name)]
        lines += ["", "```json", json.dumps({"type": type, "payload": schema["examples"][0]}), "```"]
    return "\n".join(lines) + "\n"


def payload_names(schemas: Schemas) -> list[str]:
    """The components that are payloads."""
    return sorted(name for name in schemas if name.endswith("Payload") and "." not in name)


def fields(schemas: Schemas, name: str, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Each field by its dotted path, its schema, and whether it must be there; those of inner objects follow it."""
    schema = schemas[name]
    for field, of in schema.get("properties", {}).items():
        yield f"{prefix}{field}", of, field in schema.get("required", ())
        for inner in (of, *of.get("anyOf", ())):
            if "$ref" in inner and inner != RESULT and field != "payload":
                yield from fields(schemas, inner["$ref"].removeprefix(REF), f"{prefix}{field}.")


def _table(schemas: Schemas, name: str, but: tuple[str, ...] = ()) -> Iterator[str]:
    yield row("field", "kind", "meaning")
    yield row("---", "---", "---")
    for field, of, required in fields(schemas, name):
        if field not in but:
            must = ", required" if required else ""
            yield row(f"`{field}`", cell(kind(of)) + must, cell(of.get("description", "")))


def kind(schema: Mapping[str, Any]) -> str:
    """What a value is, in a few words."""
    found = [one for one in schema.get("anyOf", ()) if one not in ({"type": "null"}, RESULT)]
    if found:
        return " or ".join(dict.fromkeys(map(kind, found)))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_bounds(schema, 'minItems', 'maxItems')}{kind(schema['items'])}"
    bounds = _bounds(schema, "minimum", "maximum")
    return f"{schema.get('type', 'any')}{', ' if bounds else ''}{bounds}".strip()


def _bounds(schema: Mapping[str, Any], low: str, high: str) -> str:
    if low in schema and high in schema:
        return f"{schema[low]} to {schema[high]} "
    return f"from {schema[low]} " if low in schema else f"up to {schema[high]} " if high in schema else ""
