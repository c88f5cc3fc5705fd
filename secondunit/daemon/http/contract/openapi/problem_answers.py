"""Problem responses of the document: one for each status, with the words that may stand in its `type`."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from secondunit.daemon.http.contract.openapi.schemas import ref
from secondunit.daemon.http.contract.responses import Problem
from secondunit.daemon.http.transport.problems import (
    MALFORMED,
    MEDIA_TYPE,
    NAMESPACE,
    PROBLEM_TYPES,
    TOO_SLOW,
    UNEXPECTED,
)

LATER = {
    "Retry-After": {"description": "after how many seconds to try again", "schema": {"type": "integer", "minimum": 0}}
}
CHALLENGE = {"WWW-Authenticate": {"description": "how a key is sent", "schema": {"type": "string"}}}
# Of any call: heads that can't be read, a request that is too slow, a daemon that others publish or that has no room.
ALWAYS = (400, 403, TOO_SLOW.status, 417, 421, 429, 500, 503)
GUARDED = (401,)


def problem_name(status: int) -> str:
    """The name of this status's response among the components."""
    return f"Problem{status}"


def problem_ref(status: int) -> dict[str, str]:
    """A reference to it."""
    return {"$ref": f"#/components/responses/{problem_name(status)}"}


def problem_answers() -> Mapping[str, Any]:
    """A response for each status that is told as a problem."""
    words: dict[int, dict[str, str]] = defaultdict(dict)
    waits: set[int] = {429}
    for kind in (*PROBLEM_TYPES.values(), MALFORMED, TOO_SLOW, UNEXPECTED):
        words[kind.status][kind.word] = kind.title
        waits |= {kind.status} if kind.retry_after is not None else set()
    return {problem_name(status): _answer(status, words[status], status in waits) for status in sorted(words)}


def _answer(status: int, words: Mapping[str, str], waits: bool) -> dict[str, Any]:
    rows = [f"- `{NAMESPACE}{word}`: {title}" for word, title in sorted(words.items())]
    headers = (LATER if waits else {}) | (CHALLENGE if status == 401 else {})
    return {
        "description": "\n".join(rows),
        **({"headers": headers} if headers else {}),
        "content": {MEDIA_TYPE: {"schema": ref(Problem.__name__)}},
    }
