"""The query of a signed URL is its key: it stands in the job's payload, and nowhere else."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, served
from tests.e2e.secrets_scan import found, kept, secrets_of, told
from tests.ports import free_port

pytestmark = pytest.mark.e2e

CANARIES = {
    "GEMINI_API_KEY": "canary-of-gemini-0123456789",
    "INTERNAL_API_KEY": "canary-of-the-backend-0123456789",
    "CALLBACK_SECRET": "canary-of-callbacks-0123456789abcdef",
    "ALERT_URL": "http://127.0.0.1:9/canary-of-alerts",
    "AWS_SECRET_ACCESS_KEY": "canary-of-buckets-0123456789",
    "AWS_SESSION_TOKEN": "canary-of-a-session-0123456789",
}
SIGNED = "X-Amz-Signature=s3cr3t&token=s3cr3t2#s3cr3t3"
TOLD = ("message", "error", "attempts", "result", "missing", "stats")


class Site(BaseHTTPRequestHandler):
    """Fails in the way that the path asks for."""

    def do_GET(self) -> None:
        way = self.path.partition("?")[0]
        if way == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"begun")
            self.close_connection = True
        elif way == "/away":
            self._answer(302, b"", Location=self.path)
        elif way == "/elsewhere":
            self._answer(302, b"", Location=f"ftp://user:s3cr3t@127.0.0.1/?{SIGNED}")
        elif way == "/noise":
            self._answer(200, bytes(range(256)) * 64, Content_Type="video/mp4")
        elif way == "/page":
            self._answer(200, b"<html><title>nothing</title></html>", Content_Type="text/html")
        else:
            self._answer(int(way[1:]), b"no")

    def do_POST(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    with served(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def jobs_of(site: str, daemon: Daemon) -> Iterator[tuple[str, dict[str, Any]]]:
    media = daemon.data / "media"
    nobody = f"http://127.0.0.1:{free_port()}"
    for n, place in enumerate(
        (f"{site}/404", f"{site}/403", f"{site}/500", f"{site}/cut", f"{site}/away", f"{site}/elsewhere",
         f"{site}/noise", f"{site}/page", f"{nobody}/x")
    ):  # fmt: skip
        for mode in ("http", "ytdlp") if n % 2 else ("http",):
            target = str(media / f"{n}-{mode}.mp4")
            yield "download", {"url": f"{place}?{SIGNED}", "outputPath": target, "mode": mode}
        if n % 3 == 0:
            yield "analyze", {"videoUrl": f"{place}?{SIGNED}"}
            yield "locations", {"videoUrl": f"{place}?{SIGNED}"}


def test_no_secret_of_a_url_or_of_the_settings_is_told_anywhere(start: Any, site: str, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    temporary = tmp_path / "data" / "temporary"  # so that it is searched with the rest
    temporary.mkdir(parents=True)
    daemon = start(
        ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8", MAX_CONCURRENT_JOBS="8", CONCURRENCY_DOWNLOAD="8", LOG_LEVEL="debug",
        GEMINI_BASE_URL=nobody, GEOCODER_URL=nobody, TMPDIR=str(temporary), **CANARIES,
    ).ready()  # fmt: skip
    callbacks = [f"{site}/500?{SIGNED}", f"{site}/410?{SIGNED}", f"{nobody}/?{SIGNED}", f"{site}/cut?{SIGNED}"]
    asked = [
        {"type": type, "payload": payload, "retryPolicy": {"maxRetries": 0}, "callback": callback}
        for n, (type, payload) in enumerate(jobs_of(site, daemon))
        for callback in [callbacks[n % len(callbacks)]]
    ]
    answer = daemon.call("POST", "/api/jobs/batch", {"jobs": asked})
    assert answer.status == 201, answer.body["errors"]
    ids = [job["jobId"] for job in answer.body["jobs"]]
    deadline = time.monotonic() + 90
    while not all(daemon.job(id)["attempts"] for id in ids):
        assert time.monotonic() < deadline, [job for id in ids if not (job := daemon.job(id))["attempts"]]
        time.sleep(0.5)
    shown = [daemon.job(id) for id in ids]
    said = json.dumps([{name: job[name] for name in TOLD} for job in shown])
    assert "s3cr3t" not in said
    assert "s3cr3t" not in daemon.log
    assert found(daemon.secrets, told(daemon, ids)) == []
    signed = found([b"s3cr3t"], told(daemon, ids[:3]))
    assert {where.partition("?")[0].rpartition("/")[2] for where, _ in signed} <= {"jobs", "deliveries", *ids}, signed
    assert len(daemon.secrets) == len(CANARIES) and daemon.leaks() == []
    deliveries = [row for id in ids for row in daemon.call("GET", f"/api/jobs/{id}/deliveries").body["deliveries"]]
    assert deliveries and "s3cr3t" not in json.dumps([row["lastError"] for row in deliveries])
    with closing(sqlite3.connect(daemon.data / "queue.db")) as database:
        for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in database.execute(f"select * from {table}"):  # noqa: S608  a name that the database gave
                kept = [str(value) for value in row if "s3cr3t" in str(value)]
                # What is fetched and who is told is kept as it was asked for, and nowhere else.
                assert all(table in ("jobs", "deliveries") and SIGNED in value for value in kept), (
                    table,
                    kept,
                )
                assert len(kept) <= 2


def test_a_secret_that_lies_anywhere_is_found(tmp_path: Path) -> None:
    deep = tmp_path / "data" / "deep"
    deep.mkdir(parents=True)
    deep.joinpath("core").write_bytes(b"\0" * 9000 + b"canary-0123456789" + b"\0" * 9)
    deep.joinpath("empty").touch()
    [(where, secret)] = found([b"canary-0123456789", b"another-0123456789"], kept(os.getpid(), tmp_path))
    assert (where, secret) == (str(deep / "core"), b"canary-0123456789")
    assert secrets_of({"API_KEY": "short", "CALLBACK_SECRET": "canary-0123456789", "HOME": "x" * 20}) == [secret]
