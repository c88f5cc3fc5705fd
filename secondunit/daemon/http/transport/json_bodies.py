"""JSON body parser, strict: what two parsers could read in two ways, or can't be stored, is refused by name."""

import asyncio
import json
from collections import Counter
from typing import Any

from aiohttp import web

from secondunit.daemon.http.transport.encoded_bodies import body_of, is_utf_8
from secondunit.daemon.http.transport.problems import NotAJsonType, NotJson
from secondunit.handlers.tools.network.media_types import media_type
from secondunit.queue.json_text import deeper

DEEPEST = 64
PARSED_ON_LOOP = 64 * 1024
# What the C parser makes without a hook of ours it makes without a turn for the loop: a thousand jobs need a tenth.
MOST_VALUES, MOST_ESCAPES = 250_000, 1_500_000
NO_MARKS = bytes(set(range(256)) - set(b'"[{,'))
JSON_TYPES = ("application/json", "text/json")


async def read_object(request: web.Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes."""
    if request.headers.get("Content-Type") != "application/json":  # to parse it takes 3 us, and most say just this
        kind = media_type(request.headers.get("Content-Type", ""))
        if kind not in JSON_TYPES and not kind.endswith("+json"):
            raise NotAJsonType(f"the Content-Type is {kind}; send the body as application/json")
        if not is_utf_8(request):
            raise NotAJsonType("the charset of the Content-Type is not UTF-8, as that of JSON is")
    raw = await body_of(request, limit)
    # Our hooks are Python, so a thread that parses lets the loop have its turns.
    body = parse(raw) if len(raw) <= PARSED_ON_LOOP else await asyncio.to_thread(parse, raw)
    if not isinstance(body, dict):
        raise NotJson("the body must be a JSON object")
    return body


def parse(raw: bytes | bytearray) -> Any:
    """The JSON value, or NotJson saying what is wrong with it and where. A bytearray is empty afterwards."""
    if len(raw) > MOST_VALUES and not _reasonable(raw):
        raise NotJson(f"more than {MOST_VALUES} values in one body; send several")
    deep, escaped = raw.count(b"{") + raw.count(b"[") > DEEPEST, b"\\u" in raw
    try:
        value = _DECODER.decode(_text_of(raw))
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON at line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise NotJson(f"values are nested deeper than {DEEPEST} levels") from None
    except ValueError:
        raise NotJson("a whole number has too many digits") from None
    if deep and deeper(value, DEEPEST):
        raise NotJson(f"values are nested deeper than {DEEPEST} levels")
    if escaped:
        _check_text(value)
    return value


def _text_of(raw: bytes | bytearray) -> str:
    text = raw.decode("utf-8")
    if isinstance(raw, bytearray):
        raw.clear()  # of megabytes, one copy at a time
    return text


def _reasonable(raw: bytes | bytearray) -> bool:
    """Whether this is no more than many jobs need; counting bytes costs a fiftieth of parsing them."""
    if raw.count(b"\\") > MOST_ESCAPES:
        return False
    if _marks(raw) <= MOST_VALUES:
        return True
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    plain = plain.translate(None, NO_MARKS)  # what is left is small: no more copies of megabytes
    return plain.count(b'"') <= 2 * MOST_VALUES and _marks(b"".join(plain.split(b'"')[::2])) <= MOST_VALUES


def _marks(raw: bytes | bytearray) -> int:
    return sum(raw.count(mark) for mark in (b"[", b"{", b","))


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
