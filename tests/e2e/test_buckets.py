"""A real daemon with its inputs and outputs in a bucket, and a daemon that is killed amid an upload."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.e2e.conftest import served
from tests.local_s3 import LocalS3, local_s3

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
CLIP = Path(__file__).parents[2] / "examples" / "media"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalS3]:
    with local_s3() as server:
        yield server


@pytest.fixture
def gemini() -> Iterator[str]:
    """The stand-in's address."""
    argv = [sys.executable, "-m", "secondunit.testing.fakes.gemini"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield re.findall(r"http://\S+", process.stdout.readline())[0].rstrip(";")
        finally:
            process.terminate()


def run(daemon: Any, type: str, **payload: Any) -> Any:
    """An ended job of this type."""
    answer = daemon.call("POST", "/api/jobs", {"type": type, "payload": payload})
    assert answer.status == 201, answer
    job = daemon.until(answer.body["jobId"], "completed", "failed", within=50)
    assert job["status"] == "completed", (job["error"], daemon.log)
    return job


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def location(daemon: Any, job: Any, name: str) -> str:
    """Where an artefact is said to be."""
    url = f"http://127.0.0.1:{daemon.port}/api/jobs/{job['jobId']}/artifacts/{name}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(_Stay).open(url, timeout=20)
    with caught.value as answer:
        assert answer.code == 302 and answer.headers["Cache-Control"] == "no-store"
        return str(answer.headers["Location"])


def read(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:  # noqa: S310
        return bytes(answer.read())


def test_films_and_pictures_go_from_a_bucket_into_it(start: Any, server: LocalS3, gemini: str) -> None:
    bucket = server.bucket()
    clip = next(CLIP.glob("*.mp4"))
    server.put(f"{bucket}/in/a film.mp4", clip.read_bytes())
    daemon = start(
        MEDIA_BUCKETS=f"{bucket}/in, {bucket}/out",
        GEMINI_API_KEY="stand-in",
        GEMINI_BASE_URL=gemini,
        **server.environment(),
    ).ready()
    film = f"s3://{bucket}/in/a film.mp4"

    picture = run(daemon, "thumbnail", videoPath=film, outputPath=f"s3://{bucket}/out/a.jpg")
    made = server.get(f"{bucket}/out/a.jpg") or b""
    assert made.startswith(b"\xff\xd8") and picture["result"]["size"] == len(made)
    assert picture["result"]["outputPath"] == f"s3://{bucket}/out/a.jpg"
    listed = daemon.call("GET", f"/api/jobs/{picture['jobId']}/artifacts").body["artifacts"]
    assert {"name": "a.jpg", "size": len(made), "contentType": "image/jpeg"} in listed
    url = location(daemon, picture, "a.jpg")
    assert url.startswith(f"{server.url}/{bucket}/out/a.jpg?") and "X-Amz-Expires=3600" in url
    assert read(url) == made and read(url, Range="bytes=2-9") == made[2:10]

    check_sprite(server, daemon, bucket, film)
    webp = run(daemon, "webp", inputPath=f"s3://{bucket}/out/a.jpg", outputPath=f"s3://{bucket}/out/a.webp")
    assert (server.get(f"{bucket}/out/a.webp") or b"")[:4] == b"RIFF" and webp["result"]["frames"] == 1

    stream = run(daemon, "hls", inputPath=film, outputDir=f"s3://{bucket}/out/film", qualities=["240p"])
    assert stream["result"]["masterPath"] == f"s3://{bucket}/out/film/master.m3u8"
    check_stream(server, daemon, stream)
    keys = server.keys(bucket)
    again = run(daemon, "hls", inputPath=film, outputDir=f"s3://{bucket}/out/film/", qualities=["240p"])
    assert again["result"] == stream["result"] and server.keys(bucket) == keys  # nothing was made again
    other = run(daemon, "hls", inputPath=film, outputDir=f"s3://{bucket}/out/film", qualities=["144p"])
    assert other["result"] != stream["result"]
    check_stream(server, daemon, other)

    read_film = run(daemon, "analyze", videoPath=film)
    assert read_film["result"]["recipe"]["steps"]

    log = daemon.log
    assert "a-secret-of-tests" not in log and "X-Amz-Signature" not in log
    listed = daemon.call("GET", f"/api/jobs/{stream['jobId']}/artifacts").body["artifacts"]
    assert "master.m3u8" in [artifact["name"] for artifact in listed]
    refused = {"type": "webp", "payload": {"inputPath": f"s3://{bucket}/no/a.png", "outputPath": film}}
    answer = daemon.call("POST", "/api/jobs", refused)
    assert answer.status == 422 and "MEDIA_BUCKETS" in answer.body["errors"][0]["message"]
    assert list((daemon.data / "work").glob("*/run-*")) == []


def check_sprite(server: LocalS3, daemon: Any, bucket: str, film: str) -> None:
    """A sheet and its index go into the bucket, and are served by their names."""
    sprite = {"columns": 3, "rows": 2, "width": 80}
    sheet = run(daemon, "thumbnail", videoPath=film, outputPath=f"s3://{bucket}/out/all.jpg", sprite=sprite)
    assert sheet["result"]["indexPath"] == f"s3://{bucket}/out/all.vtt"
    index = (server.get(f"{bucket}/out/all.vtt") or b"").decode()
    assert index.count("all.jpg#xywh=") == 6 and (server.get(f"{bucket}/out/all.jpg") or b"")[:2] == b"\xff\xd8"
    listed = daemon.call("GET", f"/api/jobs/{sheet['jobId']}/artifacts").body["artifacts"]
    assert {"name": "all.vtt", "size": len(index), "contentType": "text/vtt; charset=utf-8"} in listed
    assert read(location(daemon, sheet, "all.vtt")).decode() == index


def check_stream(server: LocalS3, daemon: Any, job: Any) -> None:
    """What the master leads to is there, and may be fetched by its name as an artefact too."""
    home = job["result"]["masterPath"].removeprefix("s3://").removesuffix("master.m3u8")
    master = read(location(daemon, job, "master.m3u8")).decode()
    playlists = leads(master)
    assert len(playlists) >= 2 and all(name.startswith(f"v-{job['jobId']}-") for name in playlists)
    for playlist in playlists:
        text = read(location(daemon, job, playlist)).decode()
        assert "#EXT-X-ENDLIST" in text
        for part in leads(text):
            name = urljoin(playlist, part)
            content = server.get(f"{home}{name}")
            assert content and read(location(daemon, job, name)) == content


def leads(playlist: str) -> list[str]:
    """All that a playlist names."""
    plain = [line for line in playlist.splitlines() if line and not line.startswith("#")]
    return plain + re.findall(r'URI="([^"]+)"', playlist)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server over a folder; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    with served(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def test_a_daemon_that_is_killed_amid_an_upload_leaves_no_object_and_the_next_one_finishes_it(
    start: Any, server: LocalS3, tmp_path: Path
) -> None:
    bucket = server.bucket()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "film.bin").write_bytes(bytes(48 << 20))
    with serving(tmp_path / "site") as url:
        environment = {
            "MEDIA_BUCKETS": bucket,
            "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32",
            "LEASE_SECONDS": "3",
            **server.environment(),
        }
        daemon = start(**environment).ready()
        payload = {"url": f"{url}/film.bin", "outputPath": f"s3://{bucket}/film.bin"}
        job_id = daemon.call("POST", "/api/jobs", {"type": "download", "payload": payload}).body["jobId"]
        deadline = time.monotonic() + 40
        while not server.uploads(bucket):
            assert time.monotonic() < deadline, daemon.job(job_id)
            time.sleep(0.005)
        daemon.signal(signal.SIGKILL)
        daemon.ended()
        assert server.keys(bucket) == []
        again = start(**environment).ready()
        job = again.until(job_id, "completed", "failed", within=50)
        assert job["status"] == "completed" and job["attempt"] == 1, job
        assert int(server.head(f"{bucket}/film.bin")["content-length"]) == 48 << 20
        assert server.head(f"{bucket}/film.bin")["x-amz-meta-secondunit-epoch"] == "2"
