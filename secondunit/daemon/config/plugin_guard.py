"""Bulkhead around what job types answer: a fault in somebody else's code costs its type an answer, not the daemon."""

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, cast

import structlog
from pydantic import BaseModel, ValidationError

from secondunit.queue.handler import HandlerSpec, input_paths, no_folder
from secondunit.queue.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, Job
from secondunit.queue.retry import RetryPolicy

A = TypeVar("A")
T = TypeVar("T")
MOST_RETRIES = 1000
TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")

log = structlog.get_logger(__name__)


def guarded(spec: HandlerSpec) -> HandlerSpec:
    """The type with answers that never raise and have the promised shape: in place of a fault stands a cautious one."""
    names, may_help, size = spec.uploads, spec.retry_partial, spec.size
    trouble = _safe(spec, "trouble", lambda _: _text(spec.trouble()), lambda _: None)
    return replace(
        spec,
        artifacts=_safe(spec, "artifacts", lambda result: _paths(spec.artifacts(result)), lambda _: {}),
        folder=_safe(spec, "folder", lambda result: _text(spec.folder(result)), no_folder),
        inputs=spec.inputs
        if spec.inputs is input_paths  # ours, and asked for every job
        else _safe(spec, "inputs", lambda payload: _texts(spec.inputs(payload)), input_paths),
        uploads=names and _safe(spec, "uploads", lambda payload: _texts(names(payload)), every_text),
        retry_partial=may_help and _safe(spec, "retry_partial", lambda job: bool(may_help(job)), _no),
        size=size and _safe(spec, "size", lambda payload: _bytes(size(payload)), lambda _: 0),
        trouble=lambda: trouble(None),
    )


def payload_schema(spec: HandlerSpec) -> Mapping[str, Any]:
    """The JSON Schema of the type's payloads; its `examples` are such as the model takes."""
    schema = _safe(spec, "the payload's schema", lambda _: _schema(spec.payload), lambda _: {"type": "object"})
    return schema(None)


def misshapen(spec: HandlerSpec) -> str | None:
    """What is wrong with the values of a spec, if one is not of its kind: nothing checks what a plugin puts there."""
    values: dict[str, Any] = {name: getattr(spec, name) for name in spec.__slots__}
    retry = values["retry"]
    rules = {
        "type must be a word of letters, digits, and -_.:": _word(values["type"]),
        "payload must be a pydantic model": isinstance(values["payload"], type)
        and issubclass(values["payload"], BaseModel),
        "run must be an async function": callable(values["run"]),
        "concurrency must be a whole number from 1 up": _whole(values["concurrency"], 1),
        "timeout must be a timedelta above 0": _longer(values["timeout"]),
        "stall must be a timedelta above 0": _longer(values["stall"]),
        "priority must be a whole number from 0 to 4": _whole(values["priority"], HIGHEST_PRIORITY, LOWEST_PRIORITY),
        "retry must be a RetryPolicy, of whole max_retries from 0 up and a timedelta initial_delay": type(retry)
        is RetryPolicy
        and _whole(retry.max_retries, 0, MOST_RETRIES)
        and (_longer(retry.initial_delay) or retry.initial_delay == timedelta(0))
        and retry.backoff in ("exponential", "fixed"),
        "check must be a function": values["check"] is None or callable(values["check"]),
        "secrets must be the names of payload fields": _named(values["secrets"]),
        "programs must be the names of programs": _named(values["programs"]),
        "measures must be the names of figures": _named(values["measures"]),
    }
    return next((rule for rule, holds in rules.items() if not holds), None)


def _named(names: object) -> bool:
    several = isinstance(names, Collection) and not isinstance(names, str)
    return several and all(isinstance(name, str) for name in cast(Collection[object], names))


def every_text(payload: Any) -> Collection[str]:
    """Each text in a payload, however deep: what it may name when nobody can say what it does."""
    found, left = [], [payload]
    while left:
        match left.pop():
            case str() as text:
                found.append(text)
            case Mapping() as inner:
                left += inner.values()
            case list() as inner:
                left += inner
    return found


def _safe(spec: HandlerSpec, question: str, answer: Callable[[A], T], otherwise: Callable[[A], T]) -> Callable[[A], T]:
    def asked(about: A) -> T:
        try:
            return answer(about)
        except BaseException:  # whatever a plugin does, sys.exit too, the daemon's loops go on
            log.exception("plugin.failed", message=f"{question} of job type {spec.type} failed", type=spec.type)
            return otherwise(about)

    return asked


def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(model.model_json_schema()))
    fields = schema.get("properties", {})
    least = {name: next(iter(fields[name].get("examples", ())), None) for name in schema.get("required", ())}
    shown = [example for example in schema.get("examples") or [least] if _fits(model, example)]
    return schema | ({"examples": shown} if shown else {})


def _fits(model: type[BaseModel], payload: Any) -> bool:
    try:
        model.model_validate_json(json.dumps(payload), strict=True, extra="forbid")
    except ValidationError:
        return False
    return True


def _word(value: object) -> bool:
    return isinstance(value, str) and TYPE.fullmatch(value) is not None


def _whole(value: object, least: int, most: int = sys.maxsize) -> bool:
    return type(value) is int and least <= value <= most


def _longer(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _no(_: Job) -> bool:
    return False


def _bytes(value: object) -> int:
    if isinstance(value, int) and _whole(value, 0):
        return value
    raise TypeError(f"{value!r:.100} is no number of bytes")


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} is no text")


def _texts(values: Collection[object]) -> Collection[str]:
    return list(_each_text(values))


def _paths(named: Mapping[str, str]) -> Mapping[str, str]:
    return dict(zip(_each_text(named), _each_text(named.values()), strict=True))


def _each_text(values: Collection[object]) -> Iterator[str]:
    if isinstance(values, str):
        raise TypeError("a text is no list of texts")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} is no text")
        yield value
