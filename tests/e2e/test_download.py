"""A download through the death of the daemon: what had come is kept, and only the rest is asked for."""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.conftest import served

pytestmark = pytest.mark.e2e

FILM = bytes(range(256)) * 8192  # 2 MiB
SIXTY_PERCENT = len(FILM) * 6 // 10


class Film(ThreadingHTTPServer):
    """Serves `content`; the first answer stops at 60 % until it is let go on. Counts what it sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FilmHandler)
        self.content, self.etag = FILM, '"v1"'
        self.sent = 0
        self.answers: list[int] = []
        self.stopped, self.go_on = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/film.mp4"


class FilmHandler(BaseHTTPRequestHandler):
    server: Film

    def do_GET(self) -> None:
        server = self.server
        content, first = server.content, not server.answers
        resumes = self.headers.get("If-Range") == server.etag
        start = int(self.headers["Range"][len("bytes=") : -1]) if resumes else 0
        self.send_response(206 if resumes else 200)
        server.answers.append(206 if resumes else 200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        if resumes:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._send(content[start:SIXTY_PERCENT] if first else content[start:])
        if first:
            server.stopped.set()
            server.go_on.wait(60)

    def _send(self, body: bytes) -> None:
        self.wfile.write(body)
        self.server.sent += len(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def film() -> Iterator[Film]:
    server = Film()
    with served(server):
        yield server
        server.go_on.set()


def killed_at_sixty_percent(start: Any, film: Film) -> tuple[Any, str]:
    """The daemon's successor and the job, after the first was killed when 60 % of the film were on its disk."""
    allowed = {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"}
    daemon = start(**allowed).ready()
    output = str(daemon.data / "media" / "film.mp4")
    secret = {"headers": {"X-Key": "s3cret-header"}, "cookies": "session=s3cret-cookie"}
    answer = daemon.call(
        "POST", "/api/jobs", {"type": "download", "payload": {"url": film.url, "outputPath": output, **secret}}
    )
    assert answer.status == 201, answer
    job_id = answer.body["jobId"]
    assert film.stopped.wait(20)
    part = daemon.data / "work" / job_id / "kept" / "transfer.part"
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < SIXTY_PERCENT:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "s3cret" not in json.dumps(daemon.job(job_id))
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    film.go_on.set()
    assert "s3cret" not in daemon.log
    return start(**allowed).ready(), job_id


def test_killed_at_sixty_percent_it_fetches_only_the_rest(start: Any, film: Film) -> None:
    daemon, job_id = killed_at_sixty_percent(start, film)
    job = daemon.until(job_id, "completed", "failed")
    assert job["status"] == "completed", job
    assert job["result"]["resumed"] is True and job["result"]["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert (daemon.data / "media" / "film.mp4").read_bytes() == FILM
    assert film.sent == len(FILM) and film.answers == [200, 206]
    assert job["attempt"] == 1


def test_a_file_that_changed_meanwhile_comes_fresh_and_right(start: Any, film: Film) -> None:
    daemon, job_id = killed_at_sixty_percent_with_another(start, film)
    job = daemon.until(job_id, "completed", "failed")
    assert job["status"] == "completed", job
    assert job["result"]["resumed"] is False
    assert (daemon.data / "media" / "film.mp4").read_bytes() == FILM[::-1]
    assert film.answers == [200, 200]


def killed_at_sixty_percent_with_another(start: Any, film: Film) -> tuple[Any, str]:
    """As above; the server has another film by the time the successor asks."""

    def changed(**environ: str) -> Any:
        if film.answers:
            film.content, film.etag = FILM[::-1], '"v2"'
        return start(**environ)

    return killed_at_sixty_percent(changed, film)


def test_a_private_address_is_refused_at_once_and_by_name(start: Any, film: Film) -> None:
    daemon = start().ready()
    output = str(daemon.data / "media" / "film.mp4")
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
        url = film.url.replace("127.0.0.1", host)
        answer = daemon.call("POST", "/api/jobs", {"type": "download", "payload": {"url": url, "outputPath": output}})
        assert answer.status == 422 and "ALLOW_PRIVATE_ADDRESSES" in json.dumps(answer.body), answer
    answer = daemon.call(
        "POST",
        "/api/jobs",
        {"type": "download", "payload": {"url": film.url.replace("127.0.0.1", "localhost"), "outputPath": output}},
    )
    job = daemon.until(answer.body["jobId"], "failed")
    assert job["error"]["class"] == "deterministic" and job["error"]["type"] == "egress_denied"
    assert film.answers == []
