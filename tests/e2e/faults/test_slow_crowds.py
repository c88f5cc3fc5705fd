"""Crowds of slow clients: a good one beside them does not notice, and none of them stays."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.e2e.faults.health_client import HEALTH, watching

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
NO_WAIT = 0.25
HOST = b"Host: localhost\r\n"
JSON = {"Content-Type": "application/json"}
WAITING = {"type": "sleep", "payload": {}, "runAt": "2099-01-01T00:00:00Z"}
SUBMIT = ("POST", "/api/jobs", json.dumps(WAITING), JSON)
ASKS = (HEALTH, SUBMIT)
REST = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
HEAD = b"GET /health HTTP/1.1\r\n" + HOST + b"X-Slow: "
BODY = b"POST /api/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
READER = b"GET /api/events HTTP/1.1\r\n" + HOST + b"\r\n"
FEW_DESCRIPTORS = ("sh", "-c", 'ulimit -n 256 && exec "$@"', "sh")


class Crowd:
    """So many clients that begin like this; each then sends a byte a second, if it is one to `trickle`.

    The kernel takes `receives` bytes for each that does not read, if that is said.
    """

    def __init__(self, port: int, size: int, begin: bytes, *, trickle: bool, receives: int | None) -> None:
        self.lines: list[socket.socket] = []
        self.there = threading.Event()
        self._over = threading.Event()
        self._receives = receives
        self._thread = threading.Thread(target=self._send, args=(port, size, begin, trickle))
        self._thread.start()

    def _send(self, port: int, size: int, begin: bytes, trickle: bool) -> None:
        for _ in range(size):
            with suppress(OSError):
                self.lines.append(line := socket.socket())
                line.settimeout(10)
                if self._receives is not None:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receives)  # counts before it connects
                line.connect(("127.0.0.1", port))
                line.setblocking(False)
                line.send(begin)
        self.there.set()
        while trickle and not self._over.wait(1):
            for line in self.lines:
                with suppress(OSError):
                    line.send(b"x")

    def end(self) -> None:
        """Stop sending."""
        self._over.set()
        self._thread.join()

    @property
    def held(self) -> int:
        """How many the daemon has not hung up on."""
        return sum(not _over(line) for line in self.lines)


def _over(line: socket.socket) -> bool:
    """Whether nothing more will come; what came is read away."""
    try:
        while line.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def crowded(
    daemon: Any, size: int, begin: bytes, *, trickle: bool = False, receives: int | None = None
) -> Iterator[Crowd]:
    """Such a crowd at the door for as long as this is open, after which the daemon is as well as before."""
    crowd = Crowd(daemon.port, size, begin, trickle=trickle, receives=receives)
    try:
        yield crowd
    finally:
        crowd.end()
        for line in crowd.lines:
            line.close()
    assert daemon.call("GET", "/health").body["status"] in ("ok", "degraded")
    assert "Traceback" not in daemon.log
    assert daemon.log.count('"event": "http.') <= 70, "each kind has thirty lines, and one a second"


def shed(daemon: Any) -> dict[str, float]:
    """How many connections were cut or not let in, by why."""
    lines = str(daemon.call("GET", "/metrics").body).splitlines()
    found = (line for line in lines if line.startswith("secondunit_http_connections_shed_total{"))
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in found}


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.mark.long
def test_three_hundred_heads_that_trickle_are_gone_after_ten_seconds(start: Any) -> None:
    daemon = start().ready()
    with crowded(daemon, 300, HEAD, trickle=True) as crowd:
        with watching(daemon.port, asks=ASKS) as good:
            assert crowd.there.wait(20)
            wait(12)
        assert good.p99 < NO_WAIT
        assert crowd.held == 0
        assert shed(daemon) == {"head": 300}


@pytest.mark.long
def test_three_hundred_slow_bodies_take_no_place_from_others(start: Any) -> None:
    daemon = start(under=FEW_DESCRIPTORS).ready()
    with crowded(daemon, 300, BODY, trickle=True) as crowd, watching(daemon.port, asks=ASKS) as good:
        wait(2)
        assert crowd.held < 150
    assert good.p99 < NO_WAIT


@pytest.mark.long
def test_three_hundred_idle_clients_take_no_descriptor_that_is_needed(start: Any) -> None:
    daemon = start(under=FEW_DESCRIPTORS).ready()
    with crowded(daemon, 300, REST) as crowd:
        assert crowd.there.wait(20)
        with watching(daemon.port, asks=ASKS) as good:
            wait(2)
            assert crowd.held < 150
            job = daemon.submit(seconds=0)
            assert daemon.until(job, "completed")
    assert good.p99 < NO_WAIT
    assert sum(shed(daemon).values()) > 150, "sent away for others, or not let in"


@pytest.mark.long
def test_four_hundred_readers_that_do_not_read_are_bounded_and_hold_up_nobody(start: Any) -> None:
    daemon = start().ready()
    with crowded(daemon, 400, READER), watching(daemon.port, asks=ASKS) as good:
        wait(2.5)
    assert good.p99 < NO_WAIT
    assert shed(daemon) == {"stream": 400 - 256}


@pytest.mark.long
def test_bodies_that_stand_still_and_idle_clients_are_gone_at_their_time(start: Any) -> None:
    daemon = start().ready()
    with crowded(daemon, 300, BODY) as bodies, crowded(daemon, 300, REST) as idle:
        with watching(daemon.port, asks=ASKS) as good:
            assert bodies.there.wait(20) and idle.there.wait(20)
            wait(26)
            assert bodies.held == idle.held == 300
            wait(8)
            assert bodies.held == 0 and idle.held == 300
            wait(49)
            assert idle.held == 0
        assert good.p99 < NO_WAIT
    assert shed(daemon) == {"body": 300, "idle": 300}


@pytest.mark.long
def test_readers_that_take_nothing_of_much_are_gone_half_a_minute_later(start: Any) -> None:
    daemon = start().ready()
    with crowded(daemon, 100, READER, receives=4096) as crowd:
        assert crowd.there.wait(20)
        for _ in range(8):
            assert daemon.call("POST", "/api/jobs/batch", {"jobs": [WAITING] * 100}).status == 201
            wait(0.3)
        with watching(daemon.port) as good:
            wait(35)
        assert good.p99 < NO_WAIT
        assert shed(daemon) == {"reader": 100} and crowd.held == 0
