"""Payload validation against the job type: strict, and no field, however deep, that the model does not know."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from secondunit.queue.errors import BadPayload, FieldError, TypeBroken, TypeUnavailable
from secondunit.queue.field_faults import faults_of
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Deterministic, Postponed, Transient, told


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
        raise BadPayload(*map(_in_payload, faults_of(error, payload, _known(spec.payload)))) from None
    if spec.check:
        try:
            spec.check(model)
        except BadPayload as error:
            raise BadPayload(*map(_in_payload, error.errors)) from None
    return model


def _in_payload(fault: FieldError) -> FieldError:
    return FieldError(f"payload.{fault.field}".removesuffix("."), fault.message)


def _known(model: type[BaseModel]) -> str:
    return ", ".join(sorted(field.alias or name for name, field in model.model_fields.items()))


def _as_json(payload: Mapping[str, Any]) -> bytes | str:
    try:
        return to_json(payload)  # in 0.3 us; json.dumps takes 3
    except ValueError:  # a lone surrogate, or too deep: said again by the model, which names the place
        return json.dumps(payload)
