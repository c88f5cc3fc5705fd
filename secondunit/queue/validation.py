"""Payload validation against the job type: strict, and no field, however deep, that the model does not know."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from secondunit.queue.errors import BadPayload, FieldError, TypeBroken, TypeUnavailable
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Deterministic, Postponed, Transient, told

MOST_FAULTS = 500  # listing one takes 4 us, finding it less than one


def validated(spec: HandlerSpec, payload: Mapping[str, Any]) -> BaseModel:
    """The payload as the type's model, or BadPayload naming every field at fault.

    TypeBroken when the model or the check fails otherwise: a validator may be anybody's code, and raise anything.
    """
    try:
        return _judged(spec, payload)
    except (BadPayload, TypeUnavailable, Transient, Deterministic, Postponed):
        raise
    except BaseException as error:  # a sys.exit in a validator must end neither a request nor the daemon
        raise TypeBroken(spec.type, told(error)) from error


def _judged(spec: HandlerSpec, payload: Mapping[str, Any]) -> BaseModel:
    try:
        model = spec.payload.model_validate_json(_as_json(payload), strict=True, extra="forbid")
    except ValidationError as error:
        raise BadPayload(*_faults(spec.payload, error)) from None
    if spec.check:
        try:
            spec.check(model)
        except BadPayload as error:
            raise BadPayload(*(FieldError(f"payload.{e.field}", e.message) for e in error.errors)) from None
    return model


def _as_json(payload: Mapping[str, Any]) -> bytes | str:
    try:
        return to_json(payload)  # in 0.3 us; json.dumps takes 3
    except ValueError:  # a lone surrogate, or too deep: said again by the model, which names the place
        return json.dumps(payload)


def _faults(model: type[BaseModel], error: ValidationError) -> Iterator[FieldError]:
    """What is wrong with each field; of a payload that is wrong in more places than anybody reads, only how many."""
    if (count := error.error_count()) > MOST_FAULTS:
        yield FieldError("payload", f"does not fit in {count} places, which are too many to be listed")
        return
    for detail in error.errors(include_url=False, include_input=False):
        yield _fault(model, detail)


def _fault(model: type[BaseModel], detail: Any) -> FieldError:
    path = ".".join(str(part) for part in ("payload", *detail["loc"]))
    if detail["type"] != "extra_forbidden":
        return FieldError(path, detail["msg"])
    known = ", ".join(sorted(field.alias or name for name, field in model.model_fields.items()))
    at_top = len(detail["loc"]) == 1
    return FieldError(path, f"unknown field; known are {known}" if at_top and known else "unknown field")
