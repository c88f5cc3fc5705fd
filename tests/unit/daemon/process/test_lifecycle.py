"""Draining, pressing, the lock and what systemd hears."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from secondunit.daemon.process.lifecycle import LogLinesLost, Stop, beside, drain, keep_lines, vital
from secondunit.daemon.process.lock import Locked, box_lock, lock_path
from secondunit.daemon.process.log_sink import LogSink
from secondunit.daemon.process.systemd import Notifier
from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.instrumentation import Fact


class Working:
    """A worker with one run, which ends when it is told, or when it is stopped."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.graces: list[float] = []
        self.stopped: list[str] = []
        self.on_drain: Callable[[], None] = lambda: None
        self.patience: float | None = None

    async def drain(self, grace: float) -> None:
        self.graces.append(grace)
        self.on_drain()
        async with asyncio.timeout(grace if self.patience is None else self.patience):
            await self.ended.wait()

    def stop_all(self, why: str) -> None:
        self.stopped.append(why)
        self.ended.set()


async def test_a_run_that_ends_in_time_is_left_alone() -> None:
    worker = Working()
    worker.on_drain = worker.ended.set
    await drain(worker, Stop(), Notifier(None), 60)
    assert worker.graces == [60] and not worker.stopped


async def test_a_run_that_outlasts_the_grace_is_stopped() -> None:
    worker = Working()
    await drain(worker, Stop(), Notifier(None), 0)
    assert len(worker.stopped) == 1


async def test_a_second_signal_stops_at_once() -> None:
    worker, stop = Working(), Stop()
    stop.ask("SIGTERM")
    assert stop.asked.is_set() and not stop.pressed.is_set()
    worker.on_drain = lambda: stop.ask("SIGTERM")
    await drain(worker, stop, Notifier(None), 3600)
    assert worker.graces[0] == 3600 and len(worker.stopped) == 1


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_states_on_its_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"@secondunit-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        Notifier(name).send(READY=1, STATUS="serving")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=serving"


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket, "socket", lambda *kind: opened.append(kind))
    Notifier(address).send(READY=1)
    assert opened == []


def test_a_listener_that_is_gone_is_heard_again_when_it_is_back(tmp_path: Path) -> None:
    address, notifier = tmp_path / "notify", Notifier(str(tmp_path / "notify"))
    before = descriptors()
    notifier.send(READY=1)
    assert not address.exists() and descriptors() == before
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        notifier.send(WATCHDOG=1)
        assert systemd.recv(1000) == b"WATCHDOG=1"


def test_a_listener_that_reads_nothing_is_not_waited_for(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        for beat in range(QUEUE_LENGTH + 100):
            notifier.send(WATCHDOG=beat)
        systemd.setblocking(False)
        heard = list(drained(systemd))
    assert heard == [f"WATCHDOG={beat}".encode() for beat in range(len(heard))], "what did not fit was not sent"
    assert 0 < len(heard) <= QUEUE_LENGTH + 1


QUEUE_LENGTH = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())


def descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def drained(listener: socket.socket) -> Iterator[bytes]:
    """What waits at a socket."""
    with suppress(BlockingIOError):
        while True:
            yield listener.recv(1000)


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    with box_lock(database):
        with pytest.raises(Locked, match=f"process {os.getpid()}, since 20"), box_lock(database):
            pass
        assert lock_path(database).stat().st_mode & 0o777 == 0o600
    with box_lock(database):
        assert not database.exists()  # the lock never touches the database


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    with box_lock(database):
        script = "print('up', flush=True); input()"
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
        )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        with box_lock(database):
            pass
    finally:
        child.kill()
        child.communicate()


async def test_a_vital_part_that_dies_ends_the_process_soon_with_the_code_of_its_death() -> None:
    left: list[tuple[float, int]] = []

    async def dies(error: BaseException) -> None:
        raise error

    class Odd(BaseException):
        """No Exception, as a plugin may raise it."""

    for error in (ValueError("x"), StoreBroken("gone"), Odd("odd"), ExceptionGroup("both", [StoreFull("full")])):
        with pytest.raises(type(error)):
            await vital(dies(error), lambda seconds, code: left.append((seconds, code)))
    assert [code for _, code in left] == [70, 74, 70, 74] and all(0 < seconds <= 10 for seconds, _ in left)


async def test_a_vital_part_that_is_cancelled_or_ends_leaves_the_process_alone() -> None:
    left: list[float] = []
    task = asyncio.create_task(vital(asyncio.sleep(3600), lambda seconds, code: left.append(seconds)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await vital(asyncio.sleep(0), lambda seconds, code: left.append(seconds))
    assert task.cancelled() and left == []


async def test_runs_that_do_not_stop_are_left_soon_with_0() -> None:
    left: list[tuple[float, int]] = []
    worker, stop = Working(), Stop(lambda seconds, code: left.append((seconds, code)))
    worker.stop_all = lambda why: None  # type: ignore[method-assign]
    worker.patience = 0.0
    await drain(worker, stop, Notifier(None), 0)
    assert [code for _, code in left] == [0]


async def test_what_the_reader_of_the_log_did_not_take_is_written_later_and_what_is_lost_is_announced() -> None:
    facts: list[Fact] = []
    read, write = os.pipe()
    os.set_blocking(read, False)
    sink = LogSink(write, lambda number: f"lost {number}\n")
    sink.write("x" * (1 << 17) + "\n")
    async with beside(keep_lines(sink, facts.append)):
        while sink.waiting:
            with suppress(BlockingIOError):
                os.read(read, 1 << 20)
            await asyncio.sleep(0.01)
        sink.lost += 3
        while not facts:
            await asyncio.sleep(0.01)
    assert facts == [LogLinesLost(3)]
    sink.close(0)
    for end in (read, write):
        os.close(end)
