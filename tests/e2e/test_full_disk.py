"""A disk that fills up under the daemon: refused, settled, healed, and nothing that was acknowledged is lost."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 MiB of memory as a file system where the data folder is."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: a full disk; only root can mount a small one")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk; this machine does not let root mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


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


def test_a_daemon_that_starts_on_a_full_disk_serves_reads_and_heals(start: Any, small_disk: Path) -> None:
    daemon = start().ready()
    done = daemon.submit(seconds=0)
    daemon.until(done, "completed")
    daemon.process.kill()
    daemon.process.wait()
    fill(small_disk)
    again = start().ready()
    assert again.job(done)["status"] == "completed"
    until(lambda: again.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 507)
    (small_disk / "filler").unlink()
    until(lambda: again.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 201)
