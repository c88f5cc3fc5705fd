"""One call of our API, by the standard library."""

import json
import urllib.request
from typing import Any

from daemons import KEY


def call(port: int, method: str, path: str, content: object = None) -> dict[str, Any]:
    """The answer's JSON; an answer that refuses raises."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={"X-API-Key": KEY, "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, Any] = json.loads(answer.read() or b"{}")
    return told
