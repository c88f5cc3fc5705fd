"""The bomb set: one daemon goes through all of it, serves others meanwhile, stays small, and ends when told to."""

import gzip
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, served
from tests.e2e.faults import bombs
from tests.e2e.faults.bomb_bounds import held_to_bounds

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]
SAID = {
    "/comments": bombs.answer(b"<!---->" * 40 + b"x"),
    "/blanks": bombs.answer(b"", status="404 " + " " * 24_000),
    "/reason": bombs.answer(b"", status="503 " + " " * 7_500),
    "/playlist": bombs.answer(b"#EXTM3U\n" + b"#EXTINF:1,\nx.ts\n" * 300_000, "application/vnd.apple.mpegurl"),
}
BATCH = bombs.batch(16)
GZIP = {"Content-Encoding": "gzip"}
BODIES: list[tuple[str, bytes, dict[str, str]]] = [
    ("/api/jobs", gzip.compress(b" " * 200_000_000, 9), GZIP),
    ("/health", gzip.compress(b" " * 200_000_000, 9), GZIP),
    ("/api/jobs/batch", gzip.compress(b" " * 200_000_000, 9), GZIP),
    ("/api/jobs", b"[" * 1_000_000, {}),
    ("/api/jobs", b'{"a":' * 200_000, {}),
    ("/api/jobs", b'{"type":' + b"9" * 1_000_000 + b"}", {}),
    ("/api/jobs/batch", b'{"jobs":[' + b"[]," * 5_000_000 + b"[]]}", {}),
    ("/api/jobs/batch", b'{"jobs":["' + b"\\n" * 8_000_000 + b'"]}', {}),
]


@pytest.fixture
def speaker() -> Iterator[bombs.Speaker]:
    speaker = bombs.Speaker(SAID)
    with served(speaker):
        yield speaker


def post(daemon: Daemon, path: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer; 0 where the connection was shut before the body was all sent."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def jobs_of(daemon: Daemon, speaker: bombs.Speaker, folder: Path) -> list[str]:
    """Jobs whose inputs are bombs."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("webp", {"inputPath": str(folder / "bomb.png"), "outputPath": str(folder / "picture.webp")}),
        *(
            ("thumbnail", {"videoPath": str(folder / "bomb.mp4"), "outputPath": str(folder / f"still.{kind}")})
            for kind in ("avif", "webp", "jpg")
        ),
        *(
            ("download", {"url": speaker.url + path, "outputPath": str(folder / f"{path[1:]}.mp4"), "mode": mode})
            for path, mode in [*((path, "http") for path in SAID), ("/blanks", "ytdlp"), ("/comments", "ytdlp")]
        ),
    ]
    answers = [
        daemon.call("POST", "/api/jobs", {"type": type, "payload": payload, "retryPolicy": {"maxRetries": 0}})
        for type, payload in asked
    ]
    assert {answer.status for answer in answers} == {201}, answers
    return [answer.body["jobId"] for answer in answers]


def batches(daemon: Daemon) -> None:
    """Four clients send 16 MB each at once."""
    clients = [threading.Thread(target=post, args=(daemon, "/api/jobs/batch", BATCH, {})) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def test_a_daemon_goes_through_the_bomb_set(start: Any, speaker: bombs.Speaker) -> None:
    daemon = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8", RATE_LIMIT="off", MAX_QUEUED_JOBS="100000").ready()
    folder = daemon.data / "media"
    (folder / "bomb.png").write_bytes(bombs.png(8000))
    bombs.huge_video(folder / "bomb.mp4")
    with held_to_bounds(daemon):
        jobs = jobs_of(daemon, speaker, folder)
        statuses = [post(daemon, *body) for body in BODIES]
        batches(daemon)
        for job in jobs:
            daemon.until(job, "completed", "failed", within=60)
    assert all(status == 0 or 400 <= status < 500 for status in statuses), statuses
