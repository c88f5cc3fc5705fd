"""Event streams without a socket: the format of a block, messages made once, and readers who take nothing."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from secondunit.daemon.http.transport.event_streams import (
    COMMENT,
    MESSAGES_KEPT,
    WRITE_BUFFER,
    Channel,
    Holder,
    Messages,
    Streams,
    _chunk,
    block,
)
from secondunit.queue.model import Event, Status
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW

EVENT = Event("job_a", "hls", "progress", NOW, Status.RUNNING)


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"data": "{}"}, b"data: {}\n\n"),
        ({"data": "{}", "event": "message", "id": "g1-7"}, b"id: g1-7\nevent: message\ndata: {}\n\n"),
        ({"retry": 3000}, b"retry: 3000\n\n"),
        ({"data": ""}, b"data: \n\n"),
        ({"id": "", "data": '"ü"'}, 'id: \ndata: "ü"\n\n'.encode()),
        ({}, b"\n"),
    ],
)
def test_a_block_has_its_fields_on_lines_and_ends_with_an_empty_one(fields: Any, written: bytes) -> None:
    assert block(**fields) == written


def test_a_chunk_says_its_length_in_bytes_and_in_hexadecimal() -> None:
    assert _chunk("ü".encode() * 8) == b"10\r\n" + "ü".encode() * 8 + b"\r\n"


class Made:
    """Makes messages, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, event: Event) -> bytes:
        self.count += 1
        return f"{event.job_id} {self.count}".encode()


def test_a_message_is_made_once_for_all_readers_of_one_event() -> None:
    messages, make = Messages(), Made()
    first = [messages.of(EVENT, make) for _ in range(3)]
    assert first == [b"job_a 1"] * 3
    twin = replace(EVENT)
    assert twin == EVENT and messages.of(twin, make) == b"job_a 2", "an equal event may have another message"
    assert messages.of(EVENT, make) == b"job_a 1"


def test_an_address_that_is_used_again_does_not_bring_back_an_old_message() -> None:
    messages, make = Messages(), Made()
    messages._made[id(EVENT), None] = (replace(EVENT, job_id="gone"), b"gone")
    assert messages.of(EVENT, make) == b"job_a 1"


def test_messages_that_are_kept_do_not_grow_without_bound() -> None:
    messages, make = Messages(), Made()
    for n in range(3 * MESSAGES_KEPT):
        messages.of(replace(EVENT, seq=n), make)
        assert len(messages._made) <= MESSAGES_KEPT


class Wire:
    """A transport, and its writer: what waits in it is what a test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.closing = self.aborted = False
        self.room = asyncio.Event()

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True

    async def drain(self) -> None:
        await self.room.wait()


class Life:
    """The timeout that ends a stream."""

    def __init__(self) -> None:
        self.over = False

    def expired(self) -> bool:
        return self.over

    def reschedule(self, when: float) -> None:
        self.over = True


@pytest.fixture
async def wire() -> Wire:
    return Wire()


def channel(wire: Any, chunked: bool = False) -> tuple[Channel, Life]:
    life: Any = Life()
    return Channel(chunked, wire, wire, life), life


@pytest.mark.parametrize(("chunked", "written"), [(False, b"data: 1\n\n"), (True, b"9\r\ndata: 1\n\n\r\n")])
async def test_a_block_is_framed_as_the_readers_http_wants_it(wire: Wire, chunked: bool, written: bytes) -> None:
    open_one, _ = channel(wire, chunked)
    await open_one.send(block("1"))
    assert wire.written == [written]


async def test_a_reader_that_keeps_up_is_not_waited_for(wire: Wire) -> None:
    open_one, _ = channel(wire)
    wire.waiting = WRITE_BUFFER
    for _ in range(20):
        await open_one.send(b"x")
    assert len(wire.written) == 20


async def test_a_reader_that_takes_nothing_holds_up_its_feed_and_is_dropped_after_a_while(wire: Wire) -> None:
    open_one, life = channel(wire)
    wire.waiting = WRITE_BUFFER + 1
    sending = asyncio.create_task(open_one.send(b"x"))
    await asyncio.sleep(0)
    since = asyncio.get_running_loop().time()
    await open_one.beat(since + 5, 30)
    assert not sending.done() and not wire.aborted and wire.written == [b"x"], "no comment for who can't take it"
    await open_one.beat(since + 44, 30)
    assert not wire.aborted, "the reaper comes first, and counts it"
    await open_one.beat(since + 46, 30)
    assert wire.aborted and life.over
    wire.room.set()
    await sending


async def test_a_slow_reader_that_takes_something_at_last_begins_anew(wire: Wire) -> None:
    open_one, life = channel(wire)
    wire.waiting = WRITE_BUFFER + 1
    sending = asyncio.create_task(open_one.send(b"x"))
    await asyncio.sleep(0)
    wire.room.set()
    await sending
    await open_one.beat(asyncio.get_running_loop().time() + 1000, 30)
    assert not wire.aborted and not life.over


async def test_a_quiet_reader_gets_a_comment_and_one_with_something_on_its_way_does_not(wire: Wire) -> None:
    open_one, _ = channel(wire)
    wire.waiting = 1
    await open_one.beat(0, 30)
    assert wire.written == []
    wire.waiting = 0
    await open_one.beat(0, 30)
    assert wire.written == [COMMENT] and COMMENT.startswith(b":") and COMMENT.endswith(b"\n\n")


async def test_a_reader_that_is_gone_is_noticed_by_a_beat_and_by_a_message(wire: Wire) -> None:
    open_one, life = channel(wire)
    wire.closing = True
    await open_one.beat(0, 30)
    assert life.over and wire.written == []
    with pytest.raises(ConnectionResetError):
        await open_one.send(b"x")


async def test_a_burst_for_one_reader_leaves_turns_to_others(wire: Wire) -> None:
    open_one, _ = channel(wire)
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(wire.written))
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    for _ in range(80):
        await open_one.send(b"x")
    others.cancel()
    assert len(turns) >= 9 and max(after - before for before, after in pairwise(turns)) <= 10


async def test_the_end_of_the_daemon_ends_every_stream_once(wire: Wire) -> None:
    streams, (open_one, life) = Streams(15, 30), channel(wire)
    streams._open[open_one] = Holder("", has_key=False)
    streams.end()
    assert life.over and not wire.aborted, "what is on its way may still arrive"


async def test_a_key_that_ends_takes_its_own_streams_along(wire: Wire) -> None:
    streams, lines = Streams(15, 30), [wire, Wire(), Wire()]
    holders = [Holder("abcd2345", has_key=True), Holder("other234", has_key=True), Holder("abcd2345", has_key=False)]
    for line, holder in zip(lines, holders, strict=True):
        streams._open[channel(line)[0]] = holder
    streams.cut("abcd2345")
    assert [line.aborted for line in lines] == [True, False, False], "an address may be named as it likes"
