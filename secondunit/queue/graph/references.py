"""References in payloads, `{"$from": "REF_OR_ID", "path": "a.0.b"}`: found, and filled from parents' results; pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from secondunit.queue.errors import FieldError
from secondunit.queue.model import Job
from secondunit.queue.outcome import Deterministic
from secondunit.queue.payloads.arguments import LARGEST_JSON
from secondunit.queue.value import Value

FROM, PATH = "$from", "path"
SIGN = b'"$from"'
NO_SUCH_RESULT, TOO_LARGE = "no_such_result", "too_large"
MOST_DIGITS = 9  # of an index; int() refuses thousands
FORM = f'a reference is {{"{FROM}": a job\'s ref or id, "{PATH}": "field" or "list.0.field" of its result}}'
Place = tuple[str | int, ...]


class Reference(Value, frozen=True):
    """At `place` of a payload stands what `path` of a parent's result holds, of all of it without one."""

    place: Place
    parent: str
    path: str


def references(payload: Any, place: Place = ()) -> Iterator[Reference | FieldError]:
    """The references in a payload, and a fault for each that is none that can be followed."""
    if isinstance(payload, Mapping):
        if FROM in payload and place:
            yield _reference(payload, place)
            return
        for name, value in payload.items():
            yield from references(value, (*place, name))
    elif isinstance(payload, list):
        for index, value in enumerate(payload):
            yield from references(value, (*place, index))


def resolved(job: Job, parents: Sequence[Job]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a run of the job is given: its parents' results, and its payload filled from them."""
    return results(parents, job.batch), filled(job.payload, parents, job.batch)


def filled(payload: Mapping[str, Any], parents: Sequence[Job], batch: str | None) -> Mapping[str, Any]:
    """The payload with what its references stand for; Deterministic `no_such_result` where nothing does.

    Deterministic `too_large` for more than may be kept of one value: a short payload can name a large result a
    thousand times.
    """
    value: Mapping[str, Any] = _filled(payload, _Source(_called(parents, batch)), ())
    return value


def results(parents: Sequence[Job], batch: str | None) -> Mapping[str, Any]:
    """What the parents gave, by their ids, and by their refs within the batch."""
    return {name: job.result for name, job in _called(parents, batch).items()}


def dotted(place: Place) -> str:
    """A place as fields are named to people."""
    return ".".join(map(str, place))


def _called(parents: Sequence[Job], batch: str | None) -> Mapping[str, Job]:
    known = {job.id: job for job in parents}
    return known | {
        job.bonds.ref: job for job in parents if batch and job.batch == batch and job.bonds and job.bonds.ref
    }


def _reference(written: Mapping[str, Any], place: Place) -> Reference | FieldError:
    parent, path = written[FROM], written.get(PATH, "")
    fits = isinstance(parent, str) and isinstance(path, str) and not written.keys() - {FROM, PATH}
    if not fits or not parent or (path and not all(path.split("."))):
        return FieldError(dotted(place), FORM)
    return Reference(place, parent, path)


class _Source:
    """Parents by what they are called, and how much was taken of their results."""

    def __init__(self, known: Mapping[str, Job]) -> None:
        self.known = known
        self._taken = 0
        self._sizes: dict[int, int] = {}

    def taken(self, value: Any) -> None:
        """Count what is put into a payload; Deterministic once it is too much."""
        if id(value) not in self._sizes:  # which stays the same one: results outlive this
            self._sizes[id(value)] = len(json.dumps(value))
        self._taken += self._sizes[id(value)]
        if self._taken > LARGEST_JSON:
            told = f"the results that the payload refers to have more than {LARGEST_JSON} bytes of JSON together"
            raise Deterministic(told, type=TOO_LARGE)


def _filled(value: Any, source: _Source, place: Place) -> Any:
    if isinstance(value, Mapping):
        if FROM in value and place:
            found = _found(value, source.known, place)
            source.taken(found)
            return found
        return {name: _filled(inner, source, (*place, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, source, (*place, index)) for index, inner in enumerate(value)]
    return value


def _found(written: Mapping[str, Any], known: Mapping[str, Job], place: Place) -> Any:
    reference = _reference(written, place)
    if isinstance(reference, FieldError):
        raise _missing(place, reference.message)
    job = known.get(reference.parent)
    if job is None:
        raise _missing(place, f"{reference.parent} is not there any more")
    value = job.result
    for step in reference.path.split(".") if reference.path else ():
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and len(step) <= MOST_DIGITS and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise _missing(place, f"{job.id} is {job.status} and its result has no {reference.path}")
    if value is None and not reference.path:
        raise _missing(place, f"{job.id} is {job.status} and has no result")
    return value


def _missing(place: Place, why: str) -> Deterministic:
    return Deterministic(f"payload.{dotted(place)} can't be filled: {why}", type=NO_SUCH_RESULT)
