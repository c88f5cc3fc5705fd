"""Server-sent events, however their bytes are cut."""

import pytest

from secondunit.client.event_stream import EventStream

BYTES = 'retry: 1500\nid: g-7\n\n: here\n\nid: g-8\r\ndata: {"type": "job:started",\r\ndata: "n": "ü"}\r\n\r\n'.encode()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_messages_are_whole_however_the_bytes_are_cut(size: int) -> None:
    stream = EventStream()
    told = [message for at in range(0, len(BYTES), size) for message in stream.feed(BYTES[at : at + size])]
    assert told == [{"type": "job:started", "n": "ü"}]
    assert (stream.last_id, stream.retry) == ("g-8", 1.5)


def test_a_message_that_was_cut_has_not_been_seen() -> None:
    stream = EventStream()
    assert stream.feed(b"id: g-7\n\nid: g-8\ndata: {}\n") == []
    assert stream.last_id == "g-7", "from g-8 on it would be lost"
    stream.resume(stream.last_id)
    assert stream.feed(b'id: g-8\ndata: {"n": 1}\n\n') == [{"n": 1}]
