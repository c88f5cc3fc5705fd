"""Answers as bytes: strict JSON, compressed for whom it is worth it, and the short way that says the same."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.test_utils import make_mocked_request
from msgspec import Struct

from secondunit.daemon.http.transport.replies import (
    SAFE_HEADERS,
    WORTH_COMPRESSING,
    compress,
    encoded,
    encoded_list,
    reply,
)
from secondunit.daemon.http.transport.short_way import SHORT, written

LARGE = {"text": "x" * WORTH_COMPRESSING}


@pytest.mark.parametrize(
    ("content", "bytes_"),
    [
        ({"b": 1, "a": [None, True, 1.5]}, b'{"b":1,"a":[null,true,1.5]}'),
        ("ü 映", '"ü 映"'.encode()),
        ("half \ud800 a pair", b'"half ? a pair"'),
        ("\u2028\x00", b'"\xe2\x80\xa8\\u0000"'),
    ],
)
def test_json_is_compact_and_always_utf_8(content: Any, bytes_: bytes) -> None:
    assert encoded(content) == bytes_
    answer = reply(content, 201, {"Location": "/x"})
    assert (answer.body, answer.status, answer.headers["Location"]) == (bytes_, 201, "/x")
    assert answer.headers["Content-Type"].startswith("application/json")


def request(accepts: str | None = None, **more: Any) -> web.Request:
    headers = {} if accepts is None else {"Accept-Encoding": accepts}
    return make_mocked_request("GET", "/", headers=headers, **more)


@pytest.mark.parametrize(
    ("accepts", "compressed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0", True),
        ("br, gzip ; q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, br", False),
        ("xgzip", False),
        ("gzipped", False),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_an_answer_is_compressed_for_who_takes_gzip(accepts: str | None, compressed: bool) -> None:
    answer = reply(LARGE)
    compress(request(accepts), answer)
    assert answer.compression is compressed
    assert answer.headers["Vary"] == "Accept-Encoding", "caches keep both apart, whichever this was"


def test_what_is_small_or_a_part_or_a_stream_stays_as_it_is() -> None:
    small = reply({"text": "x" * (WORTH_COMPRESSING - len(encoded({"text": ""})))})
    assert isinstance(small.body, bytes) and len(small.body) == WORTH_COMPRESSING
    part, stream = web.Response(body=b"x" * 5000, status=206), web.StreamResponse()
    for answer in (small, part, stream, web.Response(status=204)):
        compress(request("gzip"), answer)
        assert not answer.compression and "Vary" not in answer.headers


def short(request: web.Request, *, came_short: bool = True) -> Any:
    if came_short:
        request[SHORT] = True
    return written(request, 201, b'{"jobId":"a"}', "/api/jobs/a")


def test_the_short_way_says_what_the_long_one_says() -> None:
    whole = short(request(version=HttpVersion11))._whole
    head, _, body = whole.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert status == "HTTP/1.1 201 Created"
    assert fields.keys() == {"Location", "Content-Type", "Content-Length", "Date", *SAFE_HEADERS}
    assert (fields["Location"], fields["Content-Type"]) == ("/api/jobs/a", "application/json")
    assert int(fields["Content-Length"]) == len(body) and json.loads(body) == {"jobId": "a"}


@pytest.mark.parametrize(
    ("came_short", "more"),
    [
        (False, {"version": HttpVersion11}),
        (True, {"version": HttpVersion10}),
        (True, {"version": HttpVersion11, "closing": True}),
    ],
)
def test_what_is_not_like_all_others_goes_the_long_way(came_short: bool, more: Any) -> None:
    answer = short(request(**more), came_short=came_short)
    assert isinstance(answer, web.Response) and answer.body == b'{"jobId":"a"}'
    assert (answer.status, answer.headers["Location"]) == (201, "/api/jobs/a")


class Row(Struct):
    """A row of a list."""

    text: str


class Listed(Struct):
    """An answer with a list in it."""

    name: str
    rows: list[Row]
    total: int


@pytest.mark.parametrize("texts", [[], ["é\ud800"], ["a", '"rows":[]']])
async def test_a_list_is_written_as_the_whole_would_be(texts: list[str]) -> None:
    rows = [Row(text) for text in texts]
    assert await encoded_list(Listed('"rows":[]', [], 2), "rows", rows) == encoded(Listed('"rows":[]', rows, 2))


async def test_others_have_turns_while_a_long_list_is_written() -> None:
    turns = 0
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(encoded_list(Listed("", [], 2), "rows", (Row("x") for _ in range(160))))
        while not writing.done():
            turns += 1
            await asyncio.sleep(0)
    assert turns >= 10 and writing.result().count(b"text") == 160
