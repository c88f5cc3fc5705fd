"""Checking a payload against its job type: strictly, and no field that the model does not know."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, ValidationError

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import HandlerSpec


def validated(spec: HandlerSpec, payload: Mapping[str, Any]) -> BaseModel:
    """The payload as the type's model, or BadPayload naming every field at fault."""
    known = set(_names(spec.payload))
    unknown = [FieldError(f"payload.{name}", _unknown(known)) for name in payload if name not in known]
    try:
        model = spec.payload.model_validate_json(json.dumps(payload), strict=True)
    except ValidationError as error:
        faults = [_fault(detail) for detail in error.errors(include_url=False, include_input=False)]
        faults = [fault for fault in faults if fault.field not in {f.field for f in unknown}]
        raise BadPayload(*unknown, *faults) from None
    if unknown:
        raise BadPayload(*unknown)
    if spec.check:
        try:
            spec.check(model)
        except BadPayload as error:
            raise BadPayload(*(FieldError(f"payload.{e.field}", e.message) for e in error.errors)) from None
    return model


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, str):
            yield alias
        elif isinstance(alias, AliasChoices):
            yield from (choice for choice in alias.choices if isinstance(choice, str))
        if alias is None or model.model_config.get("populate_by_name"):
            yield name


def _unknown(known: set[str]) -> str:
    return f"unknown field; known are {', '.join(sorted(known))}" if known else "this type takes no fields"


def _fault(detail: Any) -> FieldError:
    path = ".".join(str(part) for part in ("payload", *detail["loc"]))
    return FieldError(path, detail["msg"])
