"""Payload validation against the job type: strict, and no field, however deep, that the model does not know."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from secondunit.queue.errors import BadPayload, FieldError, TypeBroken, TypeUnavailable
from secondunit.queue.graph.references import SIGN, Reference, dotted, references
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Deterministic, Postponed, Transient, told
from secondunit.queue.payloads.field_faults import UNKNOWN, faults_of
from secondunit.queue.payloads.locality import Locality

STRANDED = (
    "TYPES leaves it out, and an input of this job is a file of this box alone; submit it to a box that runs the type "
    "(`secondunit boxes`), or put the input beneath SHARED_ROOTS"
)


def judged(submission: Submission, registry: Registry, locality: Locality) -> Sequence[Reference]:
    """The references in the payload of a job that its type takes, and some box may run: UnknownType, BadPayload.

    TypeUnavailable for one whose input lies on this box, which does not run its type.
    """
    spec = registry[submission.type]
    found = accepted(spec, submission.payload)
    if submission.type not in registry and any(map(locality.is_local, spec.inputs(submission.payload))):
        raise TypeUnavailable(submission.type, STRANDED)
    return found


def accepted(spec: HandlerSpec, payload: Mapping[str, Any]) -> Sequence[Reference]:
    """The references in a payload that the type takes, or BadPayload.

    What a reference stands for is judged when the job starts; so are, with it, the type's own check and the rules that
    are about several fields at once.
    """
    text = _as_json(payload)
    if SIGN not in text:
        validated(spec, payload, text)
        return ()
    found = list(references(payload))
    if faults := [_in_payload(one) for one in found if isinstance(one, FieldError)]:
        raise BadPayload(*faults)
    known = [one for one in found if isinstance(one, Reference)]
    if not known:  # the sign stands in a text only
        validated(spec, payload)
    elif faults := list(_beside(spec, payload, known)):
        raise BadPayload(*faults)
    return known


def _beside(spec: HandlerSpec, payload: Mapping[str, Any], known: Sequence[Reference]) -> Iterator[FieldError]:
    """What is wrong with the fields that are no references."""
    places = [dotted(one.place) for one in known]
    try:
        spec.payload.model_validate_json(_as_json(payload), strict=True, extra="forbid")
    except ValidationError as error:
        for fault in faults_of(error, payload, _known(spec.payload)):
            unknown = fault.field in places and fault.message.startswith(UNKNOWN)
            if unknown or (fault.field and not any(_touches(fault.field, place) for place in places)):
                yield _in_payload(fault)
    except BaseException:  # noqa: BLE001, S110  of a validator that took the reference for its value; it is asked again
        pass


def _touches(field: str, place: str) -> bool:
    return f"{field}.".startswith(f"{place}.") or place.startswith(f"{field}.")


def validated(spec: HandlerSpec, payload: Mapping[str, Any], text: bytes | str | None = None) -> BaseModel:
    """The payload (in JSON: `text`, if that is at hand) as the type's model, or BadPayload naming every field at fault.

    TypeBroken when the model or the check fails otherwise: a validator may be anybody's code, and raise anything.
    """
    try:
        return _judged(spec, payload, _as_json(payload) if text is None else text)
    except (BadPayload, TypeUnavailable, Transient, Deterministic, Postponed):
        raise
    except BaseException as error:  # a sys.exit in a validator must end neither a request nor the daemon
        raise TypeBroken(spec.type, told(error)) from error


def _judged(spec: HandlerSpec, payload: Mapping[str, Any], text: bytes | str) -> BaseModel:
    try:
        model = spec.payload.model_validate_json(text, strict=True, extra="forbid")
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
