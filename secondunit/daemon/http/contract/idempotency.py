"""Idempotency keys: a client's key with the digest of what its request means."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from secondunit.daemon.http.written_values import instant_of
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.model import Idempotency

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_keys(
    key: str | None, content: Any, count: int | None = None, *, owner: str | None = None
) -> Sequence[Idempotency | None]:
    """The client's key with the digest of its request: for one job, or for each of a batch's `count` jobs.

    Each `owner`'s keys are its own: what another used says nothing to it.

    What means the same is one request: keys in another order, `1` and `1.0`, absent and null, one instant in two zones.
    """
    if key is None:
        return [None] * (count or 1)
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise BadPayload(FieldError("Idempotency-Key", "should be 1 to 255 visible ASCII characters"))
    meaning = _meaning(_dated(content))
    # A batch's megabytes are written piece by piece: a call for all of it would hold up every other thread.
    digest = _digest([_CANONICAL.encode(meaning)] if count is None else _CANONICAL.iterencode(meaning))
    # Neither a tab nor a blank can stand in a client's own key, so no key is mistaken for an owner's, or for a batch's.
    own = key if owner is None else f"{owner}\t{key}"
    return [Idempotency(own if count is None else f"{own} {index}", digest) for index in range(count or 1)]


def _digest(texts: Iterable[str]) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.digest()


def _meaning(value: Any) -> Any:
    match value:
        case dict():
            return {name: _meaning(inner) for name, inner in value.items() if inner is not None}
        case list():
            return [_meaning(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _dated(content: Any) -> Any:
    """The request with its instants in one spelling; a payload's are its type's affair."""
    if not isinstance(content, dict):
        return content
    told: dict[str, Any] = {}
    if isinstance(jobs := content.get("jobs"), list):
        told["jobs"] = [_dated(job) for job in jobs]
    if at := instant_of(content.get("runAt")):
        told["runAt"] = at.isoformat().replace("+00:00", "Z")
    return content | told
