"""A disk that fills up under the daemon: refused, settled, healed, and nothing that was acknowledged is lost."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import served

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 MiB of memory as a file system where the data folder is."""
    yield from mounted(tmp_path / "data")


@pytest.fixture
def small_media(tmp_path: Path) -> Iterator[Path]:
    """The same where media lie, and nothing else."""
    yield from mounted(tmp_path / "media")


def mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: a full disk; only root can mount a small one")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk; this machine does not let root mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """What callbacks told; the first is where they go."""
    got: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    got.append(f"http://127.0.0.1:{server.server_port}/")
    with served(server):
        yield got


def until(holds: Callable[[], object], within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reasons(daemon: Any) -> list[str]:
    """The words of what /health finds wrong."""
    return [reason.partition(":")[0] for reason in daemon.call("GET", "/health").body["reasons"]]


def fill(folder: Path) -> None:
    """Take all that is left."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_a_full_disk_refuses_new_work_lets_the_old_end_and_heals_by_itself(start: Any, small_disk: Path) -> None:
    daemon = start().ready()
    done = daemon.submit(seconds=0)
    daemon.until(done, "completed")
    runs = daemon.submit(seconds=4)
    daemon.until(runs, "running")
    acknowledged = [done, runs]
    time.sleep(1.5)  # the log is checkpointed and empty: it has no room of its own left
    fill(small_disk)
    refused = daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}})
    deadline = time.monotonic() + 30
    while refused.status == 201:  # pages that were free inside the database
        acknowledged.append(refused.body["jobId"])
        assert time.monotonic() < deadline
        refused = daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}})
    assert refused.status == 507, refused
    until(lambda: "disk_full" in reasons(daemon))
    assert daemon.call("GET", "/health").body["status"] == "degraded"
    assert daemon.until(runs, "completed")["result"] == {"slept": 4}
    assert daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 507
    assert all(daemon.call("GET", f"/api/jobs/{job_id}").status == 200 for job_id in acknowledged)
    (small_disk / "filler").unlink()
    until(lambda: daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 201)
    for job_id in acknowledged:
        daemon.until(job_id, "completed")
    assert daemon.process.poll() is None and "disk_full" not in reasons(daemon)


def test_a_refusal_for_want_of_room_says_when_to_come_again(start: Any, small_disk: Path) -> None:
    daemon = start().ready()
    fill(small_disk)
    until(lambda: "disk_full" in reasons(daemon))
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/jobs",
        data=b'{"type": "sleep", "payload": {}}',
        headers={"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310  our own daemon's address
    assert caught.value.code == 507 and int(caught.value.headers["Retry-After"]) > 0
    caught.value.close()


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_starts_on_a_full_disk_serves_reads_and_heals(
    start: Any, small_disk: Path, way: signal.Signals
) -> None:
    daemon = start().ready()
    done = daemon.submit(seconds=0)
    daemon.until(done, "completed")
    daemon.signal(way)  # one that drained took its log and index away: the next start needs room for them
    daemon.process.wait()
    fill(small_disk)
    again = start().ready()
    assert again.job(done)["status"] == "completed"
    until(lambda: again.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 507)
    (small_disk / "filler").unlink()
    until(lambda: again.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 201)


def test_after_a_start_on_a_full_disk_jobs_settle_and_callbacks_are_sent(
    start: Any, small_disk: Path, told: list[Any]
) -> None:
    daemon = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8").ready()
    body = {"type": "sleep", "payload": {"seconds": 60}, "callback": told[0]}
    job_id = daemon.call("POST", "/api/jobs", body).body["jobId"]
    daemon.until(job_id, "running")
    daemon.signal(signal.SIGTERM)
    time.sleep(0.2)
    daemon.signal(signal.SIGTERM)  # at once: the job goes back into the queue
    daemon.process.wait()
    fill(small_disk)
    again = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8").ready()
    until(lambda: again.job(job_id)["status"] == "running")
    assert again.call("DELETE", f"/api/jobs/{job_id}").status == 200
    until(lambda: [end["status"] for end in told[1:]] == ["cancelled"])


def test_a_data_folder_that_is_renamed_ends_the_daemon_and_is_named(start: Any) -> None:
    daemon = start().ready()
    done = daemon.submit(seconds=0)
    daemon.until(done, "completed")
    daemon.data.rename(daemon.data.with_name("elsewhere"))
    assert daemon.ended(within=60) == 74
    assert f"{daemon.data}/queue.db was removed or renamed while it was open" in daemon.log
    assert not daemon.data.exists(), "nothing is made where it was"
    daemon.data.with_name("elsewhere").rename(daemon.data)
    assert start().ready().job(done)["status"] == "completed"


def test_a_job_whose_media_disk_is_full_waits_at_no_cost_and_health_names_the_disk(
    start: Any, small_media: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64), "teal").save(small_media / "a.png")
    fill(small_media)
    daemon = start(MEDIA_ROOTS=str(small_media)).ready()
    payload = {"inputPath": f"{small_media}/a.png", "outputPath": f"{small_media}/a.webp"}
    waits = daemon.call("POST", "/api/jobs", {"type": "webp", "payload": payload}).body["jobId"]
    until(lambda: daemon.job(waits)["runAt"])
    job = daemon.job(waits)
    assert (job["status"], job["attempt"]) == ("queued", 1)
    assert f"on the disk of {small_media}, where 0 MiB are free" in job["message"]
    until(lambda: "media_full" in reasons(daemon))
    assert "disk_full" not in reasons(daemon) and not (small_media / "a.webp").exists()
    (small_media / "filler").unlink()
    until(lambda: "media_full" not in reasons(daemon), within=30)


def test_a_disk_too_small_for_a_job_postpones_it_says_so_and_runs_it_when_there_is_room(
    start: Any, small_media: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64), "red").save(small_media / "photo.png")
    with (small_media / "photo.png").open("ab") as photo:
        photo.write(bytes(1 << 20))  # what a picture ends with does not matter; it is what its job reserves
    daemon = start(MEDIA_ROOTS=str(small_media), MIN_FREE_MB="16").ready()
    filler = small_media / "filler"
    filler.write_bytes(bytes(50 << 20))
    asked = {"inputPath": str(small_media / "photo.png"), "outputPath": str(small_media / "photo.webp")}
    job_id = daemon.call("POST", "/api/jobs", {"type": "webp", "payload": asked}).body["jobId"]
    until(lambda: daemon.call("GET", f"/api/jobs/{job_id}/explain").body["reason"] == "disk")
    told = daemon.call("GET", f"/api/jobs/{job_id}/explain").body
    assert "webp reserves 1 MiB" in told["sentence"] and "MIN_FREE_MB" in told["sentence"]
    filler.unlink()
    job = daemon.until(job_id, "completed")
    assert job["attempt"] == 1 and [run["outcome"] for run in job["attempts"]] == ["postponed", "completed"]
    assert job["stats"]["resources"]["cpuSeconds"] > 0


def test_an_artefact_of_a_remote_worker_that_has_no_room_leaves_nothing_and_stops_nobody(
    small_disk: Path, tmp_path: Path, start: Any
) -> None:
    schema = '{ type = "object", properties = {} }'
    (config := tmp_path / "config.toml").write_text(f"[remote_types.ocr]\nschema = {schema}\n")
    daemon = start(SECONDUNIT_CONFIG=str(config), MAX_UPLOAD_MB="500", MIN_FREE_MB="1").ready()
    job_id = daemon.call("POST", "/api/jobs", {"type": "ocr", "payload": {}}).body["jobId"]
    [lease] = daemon.call("POST", "/api/leases", {"types": ["ocr"], "worker": "w"}).body["leases"]
    path = f"/api/leases/{lease['token']}"

    def sent(size: int, *, said: bool) -> int:
        """In chunks, or with the size said before."""
        content: Any = b"x" * size if said else iter([b"x" * (1 << 20)] * (size >> 20))
        url = f"http://127.0.0.1:{daemon.port}{path}/artifacts/large.bin"
        request = urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"}, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  our own daemon's address
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except urllib.error.URLError:  # refused while it was being sent
            return 507

    for said in (True, False):
        assert sent(100 << 20, said=said) == 507
        until(lambda: not [*(small_disk / "work").rglob("*-*")])
        assert daemon.call("PUT", path, {"progress": 50}).status == 200
    assert sent(2 << 20, said=True) == 200
    assert daemon.call("POST", f"{path}/complete", {"result": 1}).body == {"jobId": job_id, "status": "completed"}
    assert [one["size"] for one in daemon.call("GET", f"/api/jobs/{job_id}/artifacts").body["artifacts"]] == [2 << 20]
