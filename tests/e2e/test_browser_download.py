"""Seed 003's own body with `usePuppeteer: true`, through a real daemon and a real browser."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.fetching.browser.client import Chromium, find_chromium
from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from tests.e2e.conftest import served

FOUND = find_chromium(SEARCH_PATH)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not isinstance(FOUND, Chromium), reason=f"no browser: {FOUND}"),
]
FILM = bytes(range(256)) * 4096
PAGE = b"<p>It comes at once.</p><script>setTimeout(() => { location.href = '/get?file=1' }, 500)</script>"


class Handler(BaseHTTPRequestHandler):
    """A page that starts a download after a moment, which asks for the payload's cookie; and one that never comes."""

    server: "Shop"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Cookie"), self.headers.get("Referer")))
        if self.path == "/file.mp4":
            self._answer(200, "text/html", PAGE)
        elif self.path == "/get?file=1":
            allowed = "key=s3cret" in self.headers.get("Cookie", "")
            self._answer(200 if allowed else 403, "application/octet-stream", FILM if allowed else b"")
        elif self.path == "/never":
            self.server.stuck.set()
            self.server.go_on.wait(60)
        else:
            self._answer(404, "text/plain", b"")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Shop(ThreadingHTTPServer):
    """The site."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.2", 0), Handler)
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.stuck, self.go_on = threading.Event(), threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.2:{self.server_address[1]}{path}"


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    with served(server):
        yield server
        server.go_on.set()


def submit(daemon: Any, url: str, **fields: Any) -> Any:
    payload = {"url": url, "outputPath": str(daemon.data / "media" / "output.mp4"), "usePuppeteer": True, **fields}
    return daemon.call("POST", "/api/jobs", {"type": "download", "payload": payload})


def processes(folder: Path) -> list[str]:
    """The command lines that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(process.name) != os.getpid():
            found.append(line)
    return found


def until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_seed_s_own_body_with_a_browser(start: Any, shop: Shop) -> None:
    daemon = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.2/32").ready()
    health = daemon.call("GET", "/health").body
    assert health["versions"]["browser"]["chromium"]
    answer = submit(
        daemon, shop.url("/file.mp4"), headers={"Referer": "https://example.com"}, cookies="...; key=s3cret"
    )
    assert answer.status == 201, answer
    job = daemon.until(answer.body["jobId"], "completed", "failed", within=90)
    assert job["status"] == "completed", job
    assert (daemon.data / "media" / "output.mp4").read_bytes() == FILM
    assert job["result"]["finalUrl"] == shop.url("/get?file=***") and job["result"]["size"] == len(FILM)
    assert shop.asked[0][0] == "/file.mp4" and (shop.asked[0][2] or "").startswith("https://example.com")
    assert "s3cret" not in json.dumps(job) and "s3cret" not in daemon.log
    assert processes(daemon.data) == []


@pytest.mark.long
def test_a_cancelled_and_a_killed_run_leave_no_browser(start: Any, shop: Shop) -> None:
    daemon = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.2/32").ready()
    cancelled = submit(daemon, shop.url("/never")).body["jobId"]
    assert shop.stuck.wait(60)
    assert len(processes(daemon.data)) > 3
    assert daemon.call("DELETE", f"/api/jobs/{cancelled}").body["status"] == "cancelled"
    assert processes(daemon.data) == []
    shop.stuck.clear()
    submit(daemon, shop.url("/never"))
    assert shop.stuck.wait(60)
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    until(lambda: not processes(daemon.data), 1)
