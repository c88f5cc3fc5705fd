"""JSON schema of an operator's job type as a payload model: strict, in linear time, and never fetched from anywhere.

jsonschema-rs validates, with Rust's regular expressions, which don't backtrack; a pattern that needs to (look-around,
back references) is refused when the settings are read. An object whose `properties` are listed takes no others, unless
its schema says otherwise, as `additionalProperties` or by any keyword that brings in more of them.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Self

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

MOST_TOLD, LONGEST_TOLD = 100, 300
MASK = "\x00"  # in place of values
OPENS = frozenset(
    "additionalProperties patternProperties unevaluatedProperties allOf anyOf oneOf not if then else $ref $dynamicRef "
    "dependentSchemas propertyNames".split()
)
Content = Mapping[str, Any]


class PayloadSchema:
    """A schema that is one; ValueError says what is wrong with it."""

    def __init__(self, content: Content) -> None:
        self.content: dict[str, Any] = _closed(json.loads(_text(content)))
        self._errors = _validator(self.content)
        kind = self.content.get("type", "object")
        if kind != "object":
            raise ValueError(f'it takes {kind!r}, and a payload is an object: `type` is to be "object"')

    @property
    def secrets(self) -> Sequence[str]:
        """The fields at the top that are `writeOnly`: never shown, and struck out once the job has ended."""
        fields = self.content.get("properties", {})
        return [name for name, field in fields.items() if isinstance(field, Mapping) and field.get("writeOnly") is True]

    @property
    def told(self) -> dict[str, Any]:
        """The schema as it can stand within another document; of one that is tied to its own place, that it is one."""
        plain = {key: value for key, value in self.content.items() if key not in ("$schema", "$id", "$comment")}
        tied = any(f'"{word}"' in json.dumps(plain) for word in ("$id", "$anchor", "$dynamicRef", "definitions"))
        refs = json.dumps(plain).count('"$ref"') != json.dumps(plain).count('"$ref": "#/$defs/')
        return {"type": "object", "description": "As the operator's schema says."} if tied or refs else plain

    def faults(self, payload: Any) -> Sequence[InitErrorDetails]:
        """What is wrong with a payload, each fault at its field."""
        found = [fault for error in islice(self._errors(payload), MOST_TOLD) for fault in _faults(error, self.content)]
        return sorted(found, key=lambda fault: [str(part) for part in fault["loc"]])

    def model(self, name: str) -> type[BaseModel]:
        """A payload model of this name, whose `root` is the payload."""
        schema = self

        class Payload(RootModel[dict[str, Any]]):
            @classmethod
            def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
                options.pop("extra", None)  # unknown fields are the schema's affair
                payload = super().model_validate_json(json_data, **options)
                if faults := schema.faults(payload.root):
                    raise ValidationError.from_exception_data(name, list(faults), "json")
                return payload

            @classmethod
            def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
                return schema.told

        Payload.__name__ = Payload.__qualname__ = name
        return Payload


def _text(content: Content) -> str:
    try:
        return json.dumps(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, and those of its fields, without room for what they don't name."""
    if not isinstance(schema.get("properties"), dict) or not OPENS.isdisjoint(schema):
        return schema
    fields = {name: _closed(one) if isinstance(one, dict) else one for name, one in schema["properties"].items()}
    return schema | {"properties": fields, "additionalProperties": False}


def _validator(content: dict[str, Any]) -> Callable[[Any], Iterable[Any]]:
    import jsonschema_rs  # where types are declared: 8 MiB

    try:
        validator = jsonschema_rs.validator_for(
            content,
            pattern_options=jsonschema_rs.RegexOptions(),
            validate_formats=True,
            retriever=_elsewhere,
            mask=MASK,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        given = json.dumps(getattr(error, "instance", None))[:LONGEST_TOLD]
        told = getattr(error, "message", str(error)).replace(MASK, given)
        place = "/".join(map(str, getattr(error, "instance_path", ())))
        linear = "; patterns are Rust's: no look-around, no back references" if "regex" in told else ""
        where = f"at {place}, " if place else ""
        raise ValueError(f"it is no JSON schema that can be used: {where}{told}{linear}") from None
    return validator.iter_errors


def _elsewhere(uri: str) -> Any:
    raise ValueError(f"nothing is fetched for a schema; put what {uri} holds under $defs")


def _faults(error: Any, schema: Content) -> Iterable[InitErrorDetails]:
    """The fault at the field that it is about, without the value, which may be a secret."""
    kind, path = error.kind.as_dict(), tuple(error.instance_path)
    match error.kind.name:
        case "required":
            yield InitErrorDetails(type="missing", loc=(*path, kind["property"]), input=None)
        case "additionalProperties" | "unevaluatedProperties":
            known = ", ".join(sorted(schema.get("properties", {}))) if not path else ""
            for name in list(kind["unexpected"])[:MOST_TOLD]:
                yield _fault((*path, name), "unknown field" + (f"; known are {known}" if known else ""))
        case _:
            yield _fault(path, error.message.replace(MASK, "").strip())


def _fault(path: Sequence[str | int], message: str) -> InitErrorDetails:
    told = {"told": message[:LONGEST_TOLD]}
    return InitErrorDetails(type=PydanticCustomError("schema", "{told}", told), loc=tuple(path), input=None)
