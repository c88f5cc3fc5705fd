"""HTTP responses: JSON encoded once and compactly, and compression for those who ask for it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web
from msgspec import Struct, to_builtins
from msgspec.json import Encoder

from secondunit.queue.turns import in_turns

WORTH_COMPRESSING = 1024
COMPRESSED_ON_LOOP = 256 * 1024
encoded_plain = Encoder().encode  # for what is ours to the last word: faster
# Not for what callers and jobs wrote: it writes 1e16 where `json` writes 1e+16, and refuses half a surrogate pair.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=to_builtins).encode
NO_FRAMES = "frame-ancestors 'none'"
# Of every answer that has none of its own: it is no page, nothing may show it as one, and no link tells where it was.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": f"default-src 'none'; {NO_FRAMES}",
}
SAFE_LINES = "".join(f"{name}: {value}\r\n" for name, value in SAFE_HEADERS.items())
ON_GONE: web.RequestKey[Callable[[], object]] = web.RequestKey("what is done once the client is gone")
_WEIGHT = re.compile(r"q=(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110, 12.4.2


def encoded(content: Any) -> bytes:
    """The content as JSON in UTF-8; what is no Unicode (half a surrogate pair, of a file's name) becomes `?`."""
    return _encode(content).encode("utf-8", "replace")


async def encoded_list(answer: Struct, name: str, rows: Iterable[Struct]) -> bytes:
    """The answer as `encoded` gives it, with these rows as its member `name`; others have turns while it is written.

    Rows may be made as they are taken.
    """
    written = [encoded(row) async for row in in_turns(rows)]
    members = {
        key: b"[" + b",".join(written) + b"]" if key == name else encoded(value)
        for key, value in to_builtins(answer).items()
    }
    return b"{" + b",".join(encoded(key) + b":" + value for key, value in members.items()) + b"}"


def reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return reply_encoded(encoded(content), status, headers)


def reply_encoded(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response of content that is JSON already."""
    return web.Response(
        body=content,
        status=status,
        headers=headers,
        content_type="application/json",
        zlib_executor_size=COMPRESSED_ON_LOOP,
    )


class SafeRequest(web.Request):
    """A request whose answers carry `SAFE_HEADERS`, and don't tell which software serves them."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:  # on_response_prepare misses the short way
        await super()._prepare_hook(response)
        for name, value in SAFE_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.popall("Server", None)

    # Mapping's own look for the item and catch what that raises: 1 us for each that is not there, and five are not.
    def __contains__(self, key: object) -> bool:
        return key in self._state

    def get(self, key: Any, default: Any = None) -> Any:
        return self._state.get(key, default)

    def _cancel(self, exc: BaseException) -> None:  # as aiohttp calls it when the connection is lost
        super()._cancel(exc)
        if gone := self.get(ON_GONE):
            gone()


def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress a response of known, worthwhile size if the caller takes gzip; streams and ranges stay as they are."""
    body = getattr(response, "body", None)  # which a stream has not
    if not isinstance(body, bytes):
        return
    if len(body) <= WORTH_COMPRESSING or response.status == 206 or "Content-Encoding" in response.headers:
        return
    response.headers["Vary"] = "Accept-Encoding"
    if takes_gzip(",".join(request.headers.getall("Accept-Encoding", ()))):
        response.enable_compression(web.ContentCoding.gzip)


def takes_gzip(accepted: str) -> bool:
    """What an Accept-Encoding says of gzip; a part of it that is not as it should be says nothing."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, weight = (piece.strip() for piece in part.partition(";"))
        if not weight or _WEIGHT.fullmatch(weight):
            weights[name] = float(weight[2:]) if weight else 1.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
