"""A bulkhead around what job types answer: a fault in somebody else's code costs its type an answer, not the daemon."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from secondunit.queue.handler import HandlerSpec, no_folder
from secondunit.queue.model import Job

A = TypeVar("A")
T = TypeVar("T")

log = structlog.get_logger(__name__)


def guarded(spec: HandlerSpec) -> HandlerSpec:
    """The type with answers that never raise and have the promised shape: in place of a fault stands a cautious one."""
    names, may_help = spec.uploads, spec.retry_partial
    trouble = _safe(spec, "trouble", lambda _: _text(spec.trouble()), lambda _: None)
    return replace(
        spec,
        artifacts=_safe(spec, "artifacts", lambda result: _paths(spec.artifacts(result)), lambda _: {}),
        folder=_safe(spec, "folder", lambda result: _text(spec.folder(result)), no_folder),
        uploads=names and _safe(spec, "uploads", lambda payload: _texts(names(payload)), every_text),
        retry_partial=may_help and _safe(spec, "retry_partial", lambda job: bool(may_help(job)), _no),
        trouble=lambda: trouble(None),
    )


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
        except Exception:  # whatever a plugin does, the daemon's loops go on
            log.exception("plugin.failed", message=f"{question} of job type {spec.type} failed", type=spec.type)
            return otherwise(about)

    return asked


def _no(_: Job) -> bool:
    return False


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
