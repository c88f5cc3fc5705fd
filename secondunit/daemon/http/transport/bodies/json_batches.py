"""Batch body parser: a large body is split into its items by one pass over it, and these are parsed one by one.

So its text is never in memory as a whole, no call holds Python's lock for long, and an item is bounded as a body of its
own would be.
"""

import asyncio
import sys
from typing import Any

from aiohttp import web
from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from secondunit.daemon.http.transport.bodies.json_bodies import LONGEST_NAME, parse_text, parsed, read_json, text_of
from secondunit.daemon.http.transport.bodies.json_sizes import (
    DEEPEST,
    MOST_OF_ONE,
    TOO_DEEP,
    check_batch,
    check_one,
    crowded,
    too_crowded,
)
from secondunit.daemon.http.transport.bodies.large_bodies import LARGE
from secondunit.daemon.http.transport.problems import NotJson, TooLarge

WIDENED = 2  # times the limit: one emoji makes four bytes in memory of every character of its text


class _Name:
    """A member's name; one that stands twice is two of them."""

    def __init__(self, text: str) -> None:
        self.text = text


_items = Decoder(list[Raw]).decode


async def read_batch(request: web.Request, limit: int, most: int, items: int) -> dict[str, Any]:
    """The body as `read_object` gives it, its lists of up to `items` items of `most` bytes each.

    Of a large body's longer lists, which are refused anyway, nothing but the length is true.
    """
    raw = await read_json(request, limit)
    if len(raw) <= LARGE and not await _many(raw):
        return await parsed(raw)
    return await asyncio.to_thread(_Parser(limit, most, items).parse, raw)


async def _many(raw: bytes | bytearray) -> bool:
    """Whether this object has more values than one job needs."""
    if len(raw) <= MOST_OF_ONE or raw.lstrip()[:1] != b"{":
        return False
    return await asyncio.to_thread(crowded, raw, MOST_OF_ONE)


class _Parser:
    """Parses one body, and knows how much room its text took so far."""

    def __init__(self, limit: int, most: int, items: int) -> None:
        self._room = WIDENED * limit
        self._most = most
        self._most_items = items
        self._names = 0

    def parse(self, raw: bytes | bytearray) -> dict[str, Any]:
        """The object, or why it is refused."""
        check_batch(raw)
        content: dict[str, Any] = {}
        try:
            for name, text in Decoder(dict[_Name, Raw], dec_hook=self._name).decode(raw).items():
                if name.text in content:
                    raise NotJson(f"the key {name.text[:LONGEST_NAME]!r} stands twice in one object")
                content[name.text] = self._value(name.text, text)
        except RecursionError:
            raise NotJson(TOO_DEEP) from None
        except UnicodeDecodeError:
            raise NotJson("the body is not UTF-8") from None
        except DecodeError as error:
            raise NotJson(f"not JSON, or no object: {error}") from None
        return content

    def _name(self, _: type, text: str) -> _Name:
        self._names += 1
        if self._names > MOST_OF_ONE:
            raise too_crowded("")
        return _Name(text)

    def _value(self, path: str, text: Raw) -> Any:
        if bytes(memoryview(text)[:1]) != b"[":
            return self._item(path, text, DEEPEST - 1)
        texts = _items(text)
        values = [
            self._item(f"{path}.{index}", item, DEEPEST - 2) for index, item in enumerate(texts[: self._most_items])
        ]
        return values + [None] * (len(texts) - len(values))

    def _item(self, path: str, item: Raw, levels: int) -> Any:
        raw = memoryview(item)
        if len(raw) > self._most:
            raise TooLarge(f"{path} has {len(raw)} bytes, and may have {self._most}, as in a body of its own")
        if len(raw) > MOST_OF_ONE:
            check_one(bytes(raw), path)
        try:
            text = text_of(raw)
            self._room -= sys.getsizeof(text)
            if self._room < 0:
                raise TooLarge("the text of this body takes too much memory, as text with emoji does; send several")
            return parse_text(text, levels)
        except NotJson as error:
            raise NotJson(f"in {path}: {error}") from None
