"""The log sink, in front of readers that are slow, gone, hung or out of room."""

import fcntl
import os
import pty
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from secondunit.daemon.process import log_sink
from secondunit.daemon.process.log_sink import MOST_WAITING, LogSink

LINE = "x" * 999 + "\n"


def told(number: int) -> str:
    return f"lost {number}\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for end in (read, write):
        with suppress(OSError):
            os.close(end)


def drained(read: int) -> str:
    """Everything that can be read now."""
    content = b""
    while True:
        try:
            piece = os.read(read, 1 << 20)
        except BlockingIOError:
            return content.decode()
        if not piece:
            return content.decode()
        content += piece


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    for number in range(5):
        sink.write(f"{number}\n")
    assert drained(read) == "0\n1\n2\n3\n4\n" and (sink.lost, sink.losing) == (0, False)


def test_a_reader_that_stops_reading_costs_lines_and_hears_of_them_when_it_goes_on(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    most = MOST_WAITING // len(LINE)
    for _ in range(most + 500):
        sink.write(LINE)
    assert sink.losing and 300 < sink.lost < 500
    lost = sink.lost
    content = ""
    while sink.losing:
        content += drained(read)
        sink.push()
    sink.write("last\n")
    *lines, gap, last = (content + drained(read)).splitlines()
    assert (gap, last) == (f"lost {lost}", "last")
    assert len(lines) == most + 500 - lost and set(lines) == {LINE.rstrip()}


def test_what_waits_is_written_by_the_next_push_without_any_line_to_come(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    for _ in range(100):
        sink.write(LINE)
    first = drained(read)
    sink.push()
    assert len(first) < 100_000 and first + drained(read) == LINE * 100 and sink.lost == 0


def test_the_end_waits_for_a_slow_reader_but_not_for_long(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    for _ in range(100):
        sink.write(LINE)
    pieces: list[str] = []
    reader = threading.Timer(0.05, lambda: pieces.append(drained(read)))
    reader.start()
    sink.close(10)
    reader.join()
    assert pieces[0] + drained(read) == LINE * 100


def test_the_end_does_not_wait_for_one_that_never_reads(pipe: tuple[int, int]) -> None:
    sink = LogSink(pipe[1], told)
    for _ in range(100):
        sink.write(LINE)
    sink.close(0.05)
    assert sink.waiting, "the pipe took all of it: there was nothing to wait for"


def test_who_shares_the_pipe_finds_it_as_it_was(pipe: tuple[int, int]) -> None:
    _, write = pipe
    LogSink(write, told).write("line\n")
    assert not fcntl.fcntl(write, fcntl.F_GETFL) & os.O_NONBLOCK


def test_lines_for_a_reader_that_left_are_counted(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    os.close(read)
    for _ in range(10):
        sink.write("line\n")
    sink.close(0.1)
    assert sink.losing and sink.lost == 10


def test_a_reader_that_comes_back_to_a_named_pipe_hears_of_what_it_missed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write = os.open(path, os.O_WRONLY)
    sink = LogSink(write, told)
    os.close(read)
    for _ in range(3):
        sink.write("line\n")
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink.write("again\n")
    sink.write("and again\n")
    assert drained(read) == "lost 3\nagain\nand again\n" and not sink.losing
    os.close(read)
    os.close(write)


def test_a_stderr_that_was_closed_counts_lines(tmp_path: Path) -> None:
    sink = LogSink(None, told)
    sink.write("line\nline\n")
    sink.write("line\n")
    sink.push()
    assert sink.lost == 3 and not sink.isatty()


def test_a_disk_without_room_costs_lines_until_there_is_some() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    sink = LogSink(full, told)
    sink.write("line\n")
    sink.write("line\n")
    assert sink.losing and sink.lost == 2
    os.close(full)


def test_a_terminal_that_is_held_or_gone_costs_lines_and_no_time() -> None:
    master, slave = pty.openpty()
    sink = LogSink(slave, told)
    os.write(master, b"\x13")  # Control-S
    for _ in range(MOST_WAITING // len(LINE) + 100):
        sink.write(LINE)
    assert sink.isatty() and sink.losing
    os.close(master)
    lost = sink.lost
    sink.write(LINE)
    assert sink.lost > lost
    os.close(slave)


def test_a_socket_that_nobody_reads_costs_lines_and_no_time() -> None:
    ours, theirs = socket.socketpair()
    sink = LogSink(ours.fileno(), told)
    for _ in range(MOST_WAITING // len(LINE) + 1000):
        sink.write(LINE)
    assert sink.losing
    theirs.close()
    sink.write(LINE)
    sink.close(0)
    ours.close()


def test_a_pipe_that_may_not_be_opened_anew_is_written_as_far_as_it_has_room(pipe: tuple[int, int]) -> None:
    read, write = pipe
    taken = 0
    while number := log_sink._polled(write, b"x" * 10_000):
        taken += number
    assert taken == len(drained(read)) > 60_000
    assert log_sink._polled(write, b"x") == 1


def test_a_line_that_was_torn_does_not_run_into_the_next(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write = os.open(path, os.O_WRONLY)
    sink = LogSink(write, told)
    sink.write("y" * (1 << 17) + "\n")  # a pipe holds half of it
    assert set(drained(read)) == {"y"}
    os.close(read)
    sink.write("line\n")
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink.write("again\n")
    assert drained(read) == "\nlost 2\nagain\n"
    sink.close(0)
    os.close(read)
    os.close(write)


def test_a_line_of_a_finaliser_in_the_midst_of_another_comes_after_it(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = LogSink(write, told)
    take = sink._take

    def taken(data: bytes) -> int:
        if data == b"outer\n":
            sink.write("inner\n")
        return take(data)

    sink._take = taken
    sink.write("outer\n")
    sink.push()
    assert drained(read) == "outer\ninner\n"


def test_text_that_is_no_unicode_is_written_too(pipe: tuple[int, int]) -> None:
    read, write = pipe
    LogSink(write, told).write("half \ud800\n")
    assert drained(read) == "half \\ud800\n"
