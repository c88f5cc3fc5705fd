"""Reading a JSON body strictly: what two parsers could read in two ways, or can't be stored, is refused by name."""

import json
from collections import Counter
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from secondunit.daemon.http.problems import NotAJsonType, NotJson, TooLarge

DEEPEST = 64
JSON_TYPES = ("application/json", "text/json")


async def read_object(request: web.Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes."""
    kind = request.content_type
    if kind not in JSON_TYPES and not kind.endswith("+json"):
        raise NotAJsonType(f"the Content-Type is {kind}; send the body as application/json")
    body = parse(await _read(request, limit))
    if not isinstance(body, dict):
        raise NotJson("the body must be a JSON object")
    return body


def parse(raw: bytes | bytearray) -> Any:
    """The JSON value, or NotJson saying what is wrong with it and where."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON at line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise NotJson(f"values are nested deeper than {DEEPEST} levels") from None
    except ValueError:
        raise NotJson("a whole number has too many digits") from None
    if b"\\u" in raw or raw.count(b"{") + raw.count(b"[") > DEEPEST:
        _check(value)
    return value


async def _read(request: web.Request, limit: int) -> bytearray:
    too_large = TooLarge(f"this call takes bodies of up to {limit} bytes")
    if request.content_length is not None and request.content_length > limit:
        raise too_large
    body = bytearray()
    try:
        while not request.content.at_eof():
            body += await request.content.readany()
            if len(body) > limit:
                raise too_large
    except (web.RequestPayloadError, HttpProcessingError, ConnectionResetError) as error:
        raise NotJson(f"the body can't be read: {error}") from None
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise NotJson(f"the key {twice!r} stands twice in one object")
    return content


def _constant(name: str) -> None:
    raise NotJson(f"{name} is not a JSON value")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotJson(f"{digits[:40]} is too large a number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)


def _check(value: Any) -> None:
    """Refuse deep nesting, and text that is no Unicode (half a surrogate pair), which no database takes."""
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(DEEPEST + 1):
        below: list[tuple[str, Any]] = []
        for path, item in level:
            match item:
                case str():
                    _whole(path, item)
                case dict():
                    for name, inner in item.items():
                        _whole(path, name)
                        below.append((f"{path}.{name}" if path else name, inner))
                case list():
                    below += [(f"{path}.{index}", inner) for index, inner in enumerate(item)]
        if not below:
            return
        level = below
    raise NotJson(f"values are nested deeper than {DEEPEST} levels")


def _whole(path: str, text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NotJson(f"{path or 'the body'} holds half a surrogate pair") from None
