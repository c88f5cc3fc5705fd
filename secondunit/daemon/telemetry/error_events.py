"""Sentry events of exceptions: classes, masked messages, places in the code; no locals, no payload. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any

from secondunit.queue.outcome import name_of, told
from secondunit.queue.payloads.redaction import HIDDEN, redacted, without

WORD = re.compile(r"[^\s\"'`(),;=\[\]{}<>]{4,}")
LONGEST_MESSAGE = 1000
SHORTEST = 4
MOST_FRAMES, MOST_CAUSES = 100, 8
CAUSED = "raised from the one before it"


def event_of(
    error: BaseException, tags: Mapping[str, str], secrets: Collection[str], payload: Any = None
) -> dict[str, Any]:
    """What is told of an error: itself and what it came of, oldest first."""
    values = [_described(one, secrets, payload) for one in _chain(error)]
    return {"level": "error", "platform": "python", "tags": dict(tags), "exception": {"values": values[::-1]}}


def masked(text: str, secrets: Collection[str], payload: Any = None) -> str:
    """The text without these secrets, without what URLs hide, and without any word that the payload holds."""
    texts = [one for one in _texts(payload) if len(one) >= SHORTEST]
    held = "\n".join(texts)
    known = without(text, {*secrets, *texts})
    return redacted(WORD.sub(lambda word: HIDDEN if word[0] in held else word[0], known))


def _described(error: BaseException, secrets: Collection[str], payload: Any) -> dict[str, Any]:
    message = told(error).partition(": ")[2][:LONGEST_MESSAGE]
    frames = list(_frames(error.__traceback__))[-MOST_FRAMES:]
    return {
        "type": name_of(error),
        "module": type(error).__module__,
        "value": masked(message, secrets, payload),
        "stacktrace": {"frames": frames},
    }


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, as a traceback would tell; of a group, the first of its members."""
    found: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if found is None:
            return
        yield found
        if isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        else:
            found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        yield {
            "filename": code.co_filename.rpartition("/")[2],
            "function": code.co_qualname,
            "module": module,
            "lineno": traceback.tb_lineno,
            "in_app": module.startswith("secondunit"),
        }
        traceback = traceback.tb_next


def _texts(value: Any) -> Iterator[str]:
    """Every text in a payload, however deep."""
    left = [value]
    while left:
        match left.pop():
            case str() as text:
                yield text
            case Mapping() as inner:
                left += inner.values()
            case list() | tuple() as inner:
                left += inner
