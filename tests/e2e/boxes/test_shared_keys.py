"""Access keys of boxes that share a queue: made at one, good at each; revoked at one, good nowhere any more."""

import socket
from typing import Any

import pytest

from tests.e2e.conftest import Daemon

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SETTING = "a-key-of-the-settings"


def bearer(key: str) -> dict[str, Any]:
    return {"Authorization": f"Bearer {key}"}


def made(daemon: Daemon, *scopes: str) -> tuple[str, str]:
    answer = daemon.call("POST", "/api/keys", {"name": "k", "scopes": scopes}, **bearer(SETTING))
    assert answer.status == 201, answer
    return answer.body["key"], answer.body["prefix"]


def streaming(daemon: Daemon, key: str) -> socket.socket:
    """A stream of events that has begun."""
    line = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
    line.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    assert line.recv(4096).startswith(b"HTTP/1.1 200")
    return line


def test_a_key_is_good_at_every_box_from_its_making_to_its_end(start: Any) -> None:
    a, b = start("a", API_KEY=SETTING), start("b", API_KEY=SETTING)
    for box in (a, b):
        box.ready()
    for here, there in ((a, b), (b, a)):
        for _ in range(5):
            key, prefix = made(here, "read")
            assert there.call("GET", "/api/jobs", **bearer(key)).status == 200
            assert here.call("DELETE", f"/api/keys/{prefix}", **bearer(SETTING)).status == 200
            assert {one.call("GET", "/api/jobs", **bearer(key)).status for one in (there, here)} == {401}
    key, prefix = made(a, "read")
    with streaming(b, key) as line:
        a.call("DELETE", f"/api/keys/{prefix}", **bearer(SETTING))
        while line.recv(4096):
            pass


def test_the_first_key_of_a_queue_locks_every_box(start: Any) -> None:
    a, b = start("a").ready(), start("b").ready()
    assert b.call("GET", "/api/jobs").status == 200
    assert a.call("POST", "/api/keys", {"name": "first", "scopes": ["read"]}).status == 201
    assert {one.call("GET", "/api/jobs").status for one in (a, b)} == {401}
