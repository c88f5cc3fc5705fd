"""JSON body parser, strict: what two parsers could read in two ways, or can't be stored, is refused by name."""

import asyncio
import json
from collections import Counter
from typing import Any

from aiohttp import web

from secondunit.daemon.http.transport.bodies.encoded_bodies import body_of, is_utf_8
from secondunit.daemon.http.transport.bodies.json_sizes import DEEPEST, TOO_DEEP, check_one
from secondunit.daemon.http.transport.problems import NotAJsonType, NotJson
from secondunit.handlers.tools.network.media_types import media_type
from secondunit.queue.payloads.json_text import deeper

PARSED_ON_LOOP = 64 * 1024
LONGEST_NAME = 100  # of a key that is told
JSON_TYPES = ("application/json", "text/json")


async def read_object(request: web.Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes."""
    return await parsed(await read_json(request, limit))


async def read_json(request: web.Request, limit: int) -> bytes | bytearray:
    """The body, which says that it is JSON."""
    if request.headers.get("Content-Type") != "application/json":  # to parse it takes 3 us, and most say just this
        kind = media_type(request.headers.get("Content-Type", ""))
        if kind not in JSON_TYPES and not kind.endswith("+json"):
            raise NotAJsonType(f"the Content-Type is {kind}; send the body as application/json")
        if not is_utf_8(request):
            raise NotAJsonType("the charset of the Content-Type is not UTF-8, as that of JSON is")
    return await body_of(request, limit)


async def parsed(raw: bytes | bytearray) -> dict[str, Any]:
    """The JSON object, or NotJson saying what is wrong."""
    # Our hooks are Python, so a thread that parses lets the loop have its turns.
    body = _parse_one(raw) if len(raw) <= PARSED_ON_LOOP else await asyncio.to_thread(_parse_one, raw)
    if not isinstance(body, dict):
        raise NotJson("the body must be a JSON object")
    return body


def parse(raw: bytes | bytearray) -> Any:
    """The JSON value, or NotJson saying what is wrong with it and where."""
    return parse_text(text_of(raw), DEEPEST)


def text_of(raw: bytes | bytearray | memoryview) -> str:
    """The text that this is in UTF-8, or NotJson."""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8 at byte {error.start}") from None


def parse_text(text: str, levels: int) -> Any:
    """The JSON value, nested up to so many levels, or NotJson."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON at line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except ValueError:
        raise NotJson("a whole number has too many digits") from None
    if text.count("{") + text.count("[") > levels and deeper(value, levels):
        raise NotJson(TOO_DEEP)
    if "\\u" in text:
        _check_text(value)
    return value


def _parse_one(raw: bytes | bytearray) -> Any:
    check_one(raw)
    return parse(raw)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise NotJson(f"the key {twice[:LONGEST_NAME]!r} stands twice in one object")
    return content


def _constant(name: str) -> None:
    raise NotJson(f"{name} is not a JSON value")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotJson(f"{digits[:40]} is too large a number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)


def _check_text(value: Any) -> None:
    """Refuse text that is no Unicode (half a surrogate pair), which no database takes."""
    level: list[tuple[str, Any]] = [("", value)]
    while level:
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
        level = below


def _whole(path: str, text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NotJson(f"{path or 'the body'} holds half a surrogate pair") from None
