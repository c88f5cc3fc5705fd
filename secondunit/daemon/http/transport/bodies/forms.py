"""Form parser, strict: fields by their names, each once, and a file as a stream that is never held whole."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from secondunit.daemon.http.transport.bodies.encoded_bodies import body_of, coding_of, is_utf_8
from secondunit.daemon.http.transport.connections import awaited
from secondunit.daemon.http.transport.problems import BrokenForm, TooLarge, UnknownEncoding, WrongForm
from secondunit.handlers.tools.network.media_types import media_type
from secondunit.queue.errors import BadPayload, FieldError

CHUNK = 256 * 1024
LONGEST_FIELD = 8192
# Of a form without files: its fields, each letter written as %XX. Of lines outside of a file's content: its boundaries
# and heads; the loop has a turn after so many of them.
LONGEST_FORM, MOST_LINES, LINES_A_TURN = 64 * 1024, 1000, 50
MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
PLAIN = ("", "binary", "8bit", "7bit")
UNREADABLE = (
    ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError, ConnectionResetError,
)  # fmt: skip


async def parts_of(request: web.Request, known: Collection[str]) -> AsyncIterator[BodyPartReader]:
    """The parts of a multipart form; one that is not known, or comes twice, is refused."""
    seen: set[str] = set()
    reader = await _reader(request)
    while (part := await _next(reader)) is not None:
        _expected(part.name or "", known, seen)
        yield part


async def chunks_of(part: BodyPartReader) -> AsyncIterator[bytes]:
    """The content of a part as it comes in."""
    while chunk := await _chunk(part):
        yield chunk


async def text_of(part: BodyPartReader) -> str:
    """The content of a text field."""
    content = b""
    async for chunk in chunks_of(part):
        content += chunk
        if len(content) > LONGEST_FIELD:
            raise BadPayload(FieldError(part.name or "", f"is longer than {LONGEST_FIELD} bytes"))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadPayload(FieldError(part.name or "", "is not UTF-8")) from None


async def fields_of_form(request: web.Request, known: Collection[str], limit: int) -> Mapping[str, Any]:
    """The text fields of a form of at most `limit` bytes, sent in either way."""
    if request.content_length is not None and request.content_length > limit:
        raise TooLarge(f"this call takes bodies of up to {limit} bytes")
    if kind_of(request) == MULTIPART:
        return {str(part.name): await text_of(part) async for part in parts_of(request, known)}
    pairs = await pairs_of_form(request, limit, 2 * len(known))
    seen: set[str] = set()
    for name, _ in pairs:
        _expected(name, known, seen)
    return dict(pairs)


async def pairs_of_form(request: web.Request, limit: int, most: int) -> Sequence[tuple[str, str]]:
    """The fields of a URL-encoded form as they come, at most so many; a name may come twice."""
    if not is_utf_8(request):
        raise WrongForm("the charset of the Content-Type is not UTF-8; send the form as UTF-8")
    raw = await body_of(request, min(limit, LONGEST_FORM))
    try:
        return parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError as error:
        raise BrokenForm(f"the form can't be read: {_why(error)}") from None


def kind_of(request: web.Request) -> str:
    """The media type of a request's body."""
    return media_type(request.headers.get("Content-Type", ""))


def _why(error: Exception) -> str:
    """In words that don't repeat what was sent, as the parser's would."""
    return "the head of a part is none" if isinstance(error, HttpProcessingError) else str(error)


def _expected(name: str, known: Collection[str], seen: set[str]) -> None:
    if name not in known:
        raise BadPayload(FieldError(name, f"unknown field; known are {', '.join(sorted(known))}"))
    if name in seen:
        raise BadPayload(FieldError(name, "stands twice in the form"))
    seen.add(name)


class _FewLines:
    """A stream whose lines are counted: what is no file's content has few, and aiohttp reads them without a pause."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._lines = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def readline(self, **limits: Any) -> bytes:
        self._lines += 1
        if self._lines > MOST_LINES:
            raise ValueError(f"more than {MOST_LINES} lines outside of its files")
        if self._lines % LINES_A_TURN == 0:
            await asyncio.sleep(0)
        return await self._content.readline(**limits)


async def _reader(request: web.Request) -> MultipartReader:
    if coding_of(request) is not None:
        raise UnknownEncoding("a form with files is taken as it is, not packed")
    await awaited(request)
    try:
        return MultipartReader(request.headers, cast(StreamReader, _FewLines(request.content)))
    except UNREADABLE as error:
        raise BrokenForm(f"the form can't be read: {_why(error)}") from None


async def _next(reader: MultipartReader) -> BodyPartReader | None:
    try:
        part = await reader.next()
    except UNREADABLE as error:
        raise BrokenForm(f"the form can't be read: {_why(error)}") from None
    if part is None:
        return None
    if not isinstance(part, BodyPartReader) or not part.name:
        raise BrokenForm("the form can't be read: a part of it is no field with a name")
    if part.headers.get("Content-Encoding") or part.headers.get("Content-Transfer-Encoding", "").lower() not in PLAIN:
        raise BrokenForm(f"the form can't be read: {part.name} is encoded; send it as it is")
    return part


async def _chunk(part: BodyPartReader) -> bytes:
    try:
        return bytes(await part.read_chunk(CHUNK))
    except UNREADABLE as error:
        raise BrokenForm(f"the form ended too early: {_why(error)}") from None
