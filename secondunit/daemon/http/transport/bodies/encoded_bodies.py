"""Request bodies: bounded as they come and as they unpack, asked for only once nothing speaks against them."""

import asyncio
import zlib
from codecs import BOM_UTF8
from collections.abc import AsyncIterator

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from secondunit.daemon.http.transport.bodies.large_bodies import LARGE, LARGE_BODIES
from secondunit.daemon.http.transport.connections import awaited
from secondunit.daemon.http.transport.problems import (
    BrokenBody,
    BrokenEncoding,
    TooLarge,
    UnknownEncoding,
)

CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # what zlib calls the format
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
BROKEN = (web.RequestPayloadError, HttpProcessingError, ConnectionResetError)


async def body_of(request: web.Request, limit: int) -> bytes | bytearray:
    """The body, unpacked, of at most `limit` bytes either way, without its byte order mark; a refusal says why."""
    coding, declared = coding_of(request), request.content_length
    if declared is not None and declared > limit:
        raise _too_large(limit)
    await awaited(request)
    if limit <= LARGE or (coding is None and declared is not None and declared <= LARGE):
        raw = await _read(request, limit)
    else:
        raw = await _read_in_turn(request, limit)
    # Beside the loop: a thousandfold of what came may be in it.
    body = raw if coding is None else await asyncio.to_thread(_unpacked, raw, coding, limit)
    return body.removeprefix(BOM_UTF8)


async def chunks_of_body(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes in, however long and as it is packed; BrokenBody for one that ends too early."""
    await awaited(request)
    try:
        while chunk := await request.content.readany():
            yield chunk
    except BROKEN:
        raise _broken() from None
    if request.content.exception() is not None:
        raise _broken()


def coding_of(request: web.Request) -> str | None:
    """How the body is packed, None for not at all; UnknownEncoding for a way that is not known here."""
    if "Content-Encoding" not in request.headers:  # as with nearly all
        return None
    named = ",".join(request.headers.getall("Content-Encoding")).strip().lower()
    if named in ("", "identity"):
        return None
    if named not in CODINGS:
        raise UnknownEncoding("the Content-Encoding is not known here; send the body as it is, or as gzip or deflate")
    return named


def is_utf_8(request: web.Request) -> bool:
    """Whether the Content-Type says so, or nothing."""
    _, named, rest = request.headers.get("Content-Type", "").lower().partition("charset=")
    return not named or rest.partition(";")[0].strip().strip("\"'") in UTF_8


async def _read_in_turn(request: web.Request, limit: int) -> bytes | bytearray:
    turns = request[LARGE_BODIES]
    await turns.begin(request)
    try:
        async with asyncio.timeout(turns.within):
            return await _read(request, limit, bytearray(min(request.content_length or LARGE, limit)))
    except TimeoutError:
        raise BrokenBody(f"a body of more than {LARGE} bytes has {turns.within:g} s to come: others wait") from None


async def _read(request: web.Request, limit: int, room: bytearray | None = None) -> bytes | bytearray:
    """The body; in `room` if it is large: what is so long from the start is moved, not copied, as it grows."""
    content = request.content
    try:
        # A small body is there with its head: taken as it is, it costs half of being waited for.
        body: bytes | bytearray = content.read_nowait() if content.is_eof() else b""
        if not content.at_eof():
            body = await _gathered(content, limit, bytearray() if room is None else room, body)
    except BROKEN:
        raise _broken() from None
    if content.exception() is not None:  # what came before the fault was taken already
        raise _broken()
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _gathered(content: StreamReader, limit: int, room: bytearray, piece: bytes | bytearray) -> bytearray:
    length = 0
    while True:
        room[length : length + len(piece)] = piece
        length += len(piece)
        if content.at_eof() or length > limit:
            del room[length:]
            return room
        piece = await content.readany()


def _unpacked(raw: bytes | bytearray, coding: str, limit: int) -> bytes:
    unpacking = zlib.decompressobj(CODINGS[coding])
    try:
        body = unpacking.decompress(raw, limit + 1)
    except zlib.error:
        raise BrokenEncoding(f"the body is no {coding}") from None
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacking.eof:
        raise BrokenEncoding(f"the {coding} of the body ends too early")
    if unpacking.unused_data:
        raise BrokenEncoding(f"something stands behind the end of the body's {coding}")
    return body


def _broken() -> BrokenBody:
    return BrokenBody("the body ends too early, or is not framed as its head says; send it again")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"this call takes bodies of up to {limit} bytes, unpacked as well")
