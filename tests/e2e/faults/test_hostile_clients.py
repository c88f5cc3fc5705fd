"""Hostile clients: nobody else waits for them, and the daemon drains as if they were not there."""

import gzip
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.e2e.faults.health_client import watching

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
NO_WAIT = 0.25
SECONDS = 4.0
HOST = b"Host: localhost\r\n"
JSON = b"POST /api/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
GUESS = b"Authorization: Bearer su_abcdefgh_" + b"A" * 43 + b"\r\n"
BOMB = gzip.compress(b" " * 200_000_000, 9)


def packed(path: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\n" % path + HOST + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB


def whole(path: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\n" % path + HOST + b"Content-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


HOSTILE = {
    "a bomb at /health": packed(b"/health"),
    "a bomb at the queue": packed(b"/api/jobs"),
    "a flood behind a refusal": b"POST /health HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 999999999\r\n\r\n"
    + b" " * 2**20,
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 4000,
    "TLS": bytes.fromhex("1603010200010001fc0303") + b"\xff" * 500,
    "bad chunks": JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an odd weight": b"GET /api/openapi.json HTTP/1.1\r\n" + HOST + b"Accept-Encoding: gzip;q=1.2.3\r\n\r\n",
}

JOB = {"type": "sleep", "payload": {}}
PARENTS = [f"job_{number:026}" for number in range(100)]
RARELY_TRIED = {
    "unknown fields": whole(b"/api/jobs", json.dumps(JOB | {f"a{n}": 1 for n in range(80_000)}).encode()),
    "keys of a payload": whole(
        b"/api/jobs", json.dumps(JOB | {"payload": {f"a{n}{'x' * 90}": 1 for n in range(9_500)}}).encode()
    ),
    "batches of a megabyte": whole(
        b"/api/jobs/batch", json.dumps({"jobs": [JOB | {"payload": {"x": "y" * 900}}] * 1000}).encode()
    ),
    "batches of unknown parents": whole(
        b"/api/jobs/batch", json.dumps({"jobs": [JOB | {"dependsOn": PARENTS}] * 1000}).encode()
    ),
    "pipelined requests": (b"GET /api/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 2000,
    "guesses of keys": b"GET /api/jobs HTTP/1.1\r\n" + HOST + GUESS + b"\r\n",
    "a large batch that is none": whole(b"/api/jobs/batch", b'{"jobs":[' + b'{"a":"' + b"x" * 15_000_000 + b'"}]}'),
}


@contextmanager
def attacked(port: int, request: bytes) -> Iterator[None]:
    """Clients that send this again and again, each on a connection of its own."""
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
                line.sendall(request)
                line.recv(65536)
            over.wait(0.02)

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    "key",
    [pytest.param({}, id="open", marks=pytest.mark.long), pytest.param({"API_KEY": "k" * 32}, id="with a key")],
)
@pytest.mark.parametrize("what", [*HOSTILE, *(pytest.param(what, marks=pytest.mark.long) for what in RARELY_TRIED)])
def test_nobody_waits_for_a_hostile_client_and_the_daemon_drains_under_it(
    start: Any, what: str, key: dict[str, str]
) -> None:
    daemon = start(**key).ready()
    with attacked(daemon.port, (HOSTILE | RARELY_TRIED)[what]):
        with watching(daemon.port, daemon.process.pid) as health:
            threading.Event().wait(SECONDS)
        assert health.fair_p99 < NO_WAIT, "what the machine took left out"
        daemon.signal(signal.SIGTERM)
        assert daemon.ended(15) == 0
    assert "Traceback" not in daemon.log
