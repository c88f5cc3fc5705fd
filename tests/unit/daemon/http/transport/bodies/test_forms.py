"""Forms read strictly: each field once, by a known name, of text that is text."""

from typing import Any
from unittest import mock

import pytest
from aiohttp import FormData, StreamReader, web
from aiohttp.test_utils import make_mocked_request

from secondunit.daemon.http.transport.bodies.forms import LONGEST_FIELD, chunks_of, fields_of_form, parts_of, text_of
from secondunit.daemon.http.transport.problems import BrokenForm, TooLarge
from secondunit.queue.errors import BadPayload

KNOWN = ("video_url", "language")
LIMIT = 4096


class Sink:
    """Takes what a client would send."""

    def __init__(self) -> None:
        self.content = b""

    async def write(self, data: bytes) -> None:
        self.content += data


async def sent(form: FormData) -> web.Request:
    """The request by which a client sends this form."""
    payload, sink = form(), Sink()
    await payload.write(sink)  # type: ignore[arg-type]
    return raw(payload.headers["Content-Type"], sink.content)


def raw(kind: str, content: bytes, **headers: str) -> web.Request:
    stream = StreamReader(mock.Mock(_reading_paused=False), 2**16)
    stream.feed_data(content)
    stream.feed_eof()
    return make_mocked_request("POST", "/", headers={"Content-Type": kind, **headers}, payload=stream)


def form(*fields: tuple[str, Any], multipart: bool) -> FormData:
    made = FormData(default_to_multipart=multipart)
    for name, value in fields:
        made.add_field(name, value)
    return made


MULTIPART = pytest.mark.parametrize("multipart", [True, False], ids=["multipart", "urlencoded"])


@MULTIPART
async def test_both_kinds_of_form_say_the_same(multipart: bool) -> None:
    request = await sent(form(("video_url", "https://x/?a=b&c=ü"), ("language", ""), multipart=multipart))
    assert await fields_of_form(request, KNOWN, LIMIT) == {"video_url": "https://x/?a=b&c=ü", "language": ""}


@MULTIPART
@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ([("video_url", "a"), ("frames", "3")], "frames", "unknown field; known are language, video_url"),
        ([("video_url", "a"), ("video_url", "b")], "video_url", "twice"),
        ([("Video_url", "a")], "Video_url", "unknown field"),
    ],
)
async def test_a_field_that_is_unknown_or_comes_twice_is_refused_by_its_name(
    multipart: bool, fields: list[tuple[str, str]], field: str, says: str
) -> None:
    with pytest.raises(BadPayload) as refused:
        await fields_of_form(await sent(form(*fields, multipart=multipart)), KNOWN, LIMIT)
    [fault] = refused.value.errors
    assert fault.field == field and says in fault.message


async def test_a_form_that_says_it_is_too_large_is_not_read() -> None:
    request = raw("application/x-www-form-urlencoded", b"video_url=a", **{"Content-Length": str(LIMIT + 1)})
    with pytest.raises(TooLarge, match=str(LIMIT)):
        await fields_of_form(request, KNOWN, LIMIT)
    assert not request.content.at_eof()


async def test_a_form_that_turns_out_to_be_too_large_is_told_the_limit() -> None:
    request = raw("application/x-www-form-urlencoded", b"video_url=" + b"a" * LIMIT)
    with pytest.raises(TooLarge, match=str(LIMIT)):
        await fields_of_form(request, KNOWN, LIMIT)


async def test_a_text_field_has_a_bound_that_counts_bytes() -> None:
    fits, over = "ü" * (LONGEST_FIELD // 2), "ü" * (LONGEST_FIELD // 2) + "x"
    request = await sent(form(("language", fits), multipart=True))
    assert [await text_of(part) async for part in parts_of(request, KNOWN)] == [fits]
    request = await sent(form(("language", over), multipart=True))
    with pytest.raises(BadPayload, match=r"language.*longer than"):
        [await text_of(part) async for part in parts_of(request, KNOWN)]


async def test_text_that_is_no_utf_8_is_refused_by_its_field() -> None:
    made = FormData()
    made.add_field("language", b"\xff\xfe", filename="language.txt")
    request = await sent(made)
    with pytest.raises(BadPayload, match=r"language.*UTF-8"):
        [await text_of(part) async for part in parts_of(request, KNOWN)]


async def test_a_files_content_comes_in_pieces_and_whole() -> None:
    content = bytes(range(256)) * 4000
    made = FormData()
    made.add_field("video_url", content, filename="a.mp4")
    pieces = [piece async for part in parts_of(await sent(made), KNOWN) async for piece in chunks_of(part)]
    assert b"".join(pieces) == content and len(pieces) > 1


PART = b'--a\r\nContent-Disposition: form-data; name="language"'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"--b\r\n\r\nx\r\n--b--\r\n", "boundary"),
        (b"--a\r\nX: y\r\n\r\nx\r\n--a--\r\n", "no field with a name"),
        (PART + b"\r\nContent-Encoding: gzip\r\n\r\nx\r\n--a--\r\n", "language is encoded"),
        (PART + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--a--\r\n", "language is encoded"),
        (PART + b"\r\n\r\nhalf of i", "form"),
        (b"--a\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i--\r\n--a--\r\n", "no field with a name"),
    ],
    ids=["another boundary", "no name", "gzip", "base64", "cut off", "a form within"],
)
async def test_a_form_that_can_not_be_read_says_why(content: bytes, says: str) -> None:
    with pytest.raises(BrokenForm, match=says):
        await fields_of_form(raw("multipart/form-data; boundary=a", content), KNOWN, LIMIT)


@pytest.mark.parametrize("spelling", ["binary", "8BIT", "7bit", ""])
async def test_content_that_is_sent_as_it_is_may_say_so(spelling: str) -> None:
    head = PART + f"\r\nContent-Transfer-Encoding: {spelling}\r\n\r\nde\r\n--a--\r\n".encode()
    assert await fields_of_form(raw("multipart/form-data; boundary=a", head), KNOWN, LIMIT) == {"language": "de"}
