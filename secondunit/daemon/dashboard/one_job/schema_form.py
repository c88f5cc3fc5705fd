"""Form generated from a JSON Schema: its fields, what was typed into them as JSON, and which of them a fault is about.

Pure. An object's properties are fields of their own under dotted names; what no field fits is typed as JSON. An empty
field is one that is left out.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from secondunit.daemon.http.transport.bodies.json_bodies import parse_text
from secondunit.daemon.http.transport.bodies.json_sizes import DEEPEST
from secondunit.daemon.http.transport.problems import NotJson
from secondunit.queue.errors import FieldError
from secondunit.queue.payloads.redaction import HIDDEN
from secondunit.queue.sentences import say

DEEPEST_FIELD = 3
Kind = Literal["text", "number", "loose", "choice", "lines", "loose_lines", "json"]
TRUTHS = ("true", "false")
MISSING = object()
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FormField:
    """One field. `path` is its place in the JSON; `choices` are JSON texts; `default` is what being left out means.

    `typed` stands in it now. `anew`: what an earlier job had there is not, or not wholly, shown.
    """

    path: tuple[str, ...]
    kind: Kind
    required: bool = False
    choices: Sequence[str] = ()
    default: str = ""
    example: str = ""
    about: str = ""
    least: float | None = None
    most: float | None = None
    secret: bool = False
    typed: str = ""
    faults: Sequence[str] = ()
    anew: bool = False

    @property
    def name(self) -> str:
        """Its name in the form, and in what is said of it."""
        return ".".join(self.path)


def fields_of(schema: Schema, secrets: Collection[str] = (), at: tuple[str, ...] = ()) -> Sequence[FormField]:
    """The fields of an object's schema, those that are required first; `secrets` are at its top."""
    examples = schema.get("examples") or [{}]
    found = list(_fields(schema, schema.get("$defs", {}), at, examples[0], required=True))
    marked = [replace(one, secret=one.path[len(at)] in secrets) for one in found]
    return sorted(marked, key=lambda one: not one.required)


def filled(fields: Sequence[FormField], content: Mapping[str, Any], anew: Collection[str] = ()) -> Sequence[FormField]:
    """The fields with what stands in this JSON; secrets stay empty. `anew` names what is not wholly shown."""
    return [replace(one, typed=_text(one, _at(content, one.path)), anew=_within(one, anew)) for one in fields]


def typed(fields: Sequence[FormField], form: Mapping[str, str], anew: Collection[str] = ()) -> Sequence[FormField]:
    """The fields with what was typed into them."""
    return [replace(one, typed=form.get(one.name, "").strip(), anew=_within(one, anew)) for one in fields]


def content_of(fields: Sequence[FormField]) -> tuple[dict[str, Any], Sequence[FieldError]]:
    """The JSON that was typed, and what of it can't be meant."""
    content: dict[str, Any] = {}
    faults: list[FieldError] = []
    for one in fields:
        if not one.typed:
            continue
        if (one.anew or one.secret) and HIDDEN in one.typed:
            faults.append(
                FieldError(one.name, say("type it anew: {hidden} stands for what is not shown", hidden=HIDDEN))
            )
            continue
        try:
            value = _value(one)
        except NotJson as error:
            faults.append(FieldError(one.name, say("should be JSON: {error}", error=error)))
            continue
        place = content
        for part in one.path[:-1]:
            place = place.setdefault(part, {})
        place[one.path[-1]] = value
    return content, faults


def faulted(
    fields: Sequence[FormField], faults: Sequence[FieldError]
) -> tuple[Sequence[FormField], Sequence[FieldError]]:
    """The fields with what is said of each, and what is said of none of them."""
    told: dict[str, list[str]] = {}
    others: list[FieldError] = []
    for fault in faults:
        names = [one.name for one in fields if f"{fault.field}.".startswith(f"{one.name}.")]
        if not names:
            others.append(fault)
            continue
        below = fault.field[len(names[0]) + 1 :]
        told.setdefault(names[0], []).append(f"{below}: {fault.message}" if below else fault.message)
    return [replace(one, faults=told.get(one.name, ())) for one in fields], others


def _fields(
    schema: Schema, known: Schema, at: tuple[str, ...], example: Any, *, required: bool, depth: int = 0
) -> Iterator[FormField]:
    for name, property in schema.get("properties", {}).items():
        one, path = _resolved(property, known), (*at, name)
        needed = required and name in schema.get("required", ())
        shown = example.get(name) if isinstance(example, Mapping) else None
        if one.get("properties") and depth < DEEPEST_FIELD:
            yield from _fields(one, known, path, shown, required=needed, depth=depth + 1)
        else:
            yield _field(one, path, shown, needed)


def _resolved(schema: Schema, known: Schema) -> Schema:
    """The schema of a value that is there: its reference followed, null left out; what is told of it stays."""
    outer = {key: value for key, value in schema.items() if key not in ("anyOf", "$ref")}
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if "$ref" in schema:
        return {**known.get(schema["$ref"].rpartition("/")[2], {}), **outer}
    if len(branches) == 1:
        return {**_resolved(branches[0], known), **outer}
    return schema


def _field(schema: Schema, path: tuple[str, ...], example: Any, required: bool) -> FormField:
    kind = _kind(schema)
    choices = TRUTHS if kind == "choice" and "enum" not in schema else tuple(map(_plain, schema.get("enum", ())))
    default = schema.get("default")
    field = FormField(path, kind, required, choices)
    return replace(
        field,
        default="" if default in (None, [], {}) else _written(field, default).replace("\n", ", "),
        example="" if example is None else _written(field, example),
        about=schema.get("description", ""),
        least=schema.get("minimum"),
        most=schema.get("maximum"),
    )


def _kind(schema: Schema) -> Kind:
    if "enum" in schema or schema.get("type") == "boolean":
        return "choice"
    branches = {branch.get("type") for branch in schema.get("anyOf", ())}
    if branches and branches <= {"string", "number", "integer"}:
        return "loose"
    match schema.get("type"):
        case "string":
            return "text"
        case "integer" | "number":
            return "number"
        case "array":
            items: Mapping[Kind, Kind] = {"text": "lines", "loose": "loose_lines", "number": "loose_lines"}
            return items.get(_kind(schema.get("items", {})), "json")
    return "json"


def _value(field: FormField) -> Any:
    lines = [line.strip() for line in field.typed.splitlines() if line.strip()]
    match field.kind:
        case "json":
            return parse_text(field.typed, DEEPEST)
        case "lines":
            return lines
        case "loose_lines":
            return [_loose(line) for line in lines]
        case "number" | "loose":
            return _loose(field.typed)
        case "choice" if field.choices == TRUTHS and field.typed in TRUTHS:
            return field.typed == TRUTHS[0]
    return field.typed


def _loose(text: str) -> Any:
    """A number where a number was typed, else the text, of which the model says what it wants."""
    try:
        found = parse_text(text, DEEPEST)
    except NotJson:
        return text
    return found if isinstance(found, int | float) and not isinstance(found, bool) else text


def _text(field: FormField, value: Any) -> str:
    return "" if field.secret or value is MISSING or value is None else _written(field, value)


def _written(field: FormField, value: Any) -> str:
    if field.kind in ("lines", "loose_lines") and isinstance(value, list | tuple):
        return "\n".join(map(_plain, value))
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _at(content: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(content, Mapping) or part not in content:
            return MISSING
        content = content[part]
    return content


def _within(field: FormField, names: Collection[str]) -> bool:
    return any(f"{field.name}.".startswith(f"{name}.") for name in names)
