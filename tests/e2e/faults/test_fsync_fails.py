"""The disk refuses to make a write durable (strace fails the call): no promise is given, and a restart recovers."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("strace") is None, reason="NO FAILING FSYNC IS TESTED: no strace"),
]
Break = Callable[[Any, str], None]
LATER = {"type": "sleep", "payload": {}, "runAt": "2099-01-01T00:00:00Z"}


@pytest.fixture
def break_syncs(tmp_path: Path) -> Iterator[Break]:
    """Makes syncs of a running daemon fail with EIO: the `when`th of each thread ("2"), or all from then on ("2+")."""
    tracers: list[subprocess.Popen[bytes]] = []

    def break_syncs(daemon: Any, when: str) -> None:
        faults = [f"-einject={call}:error=EIO:when={when}" for call in ("fsync", "fdatasync")]
        argv = ["strace", "-f", "-o", str(tmp_path / "strace.log"), "-e", "trace=fsync,fdatasync", *faults]
        tracers.append(subprocess.Popen([*argv, "-p", str(daemon.process.pid)], stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 30
        while not all(_traced(task) for task in Path(f"/proc/{daemon.process.pid}/task").iterdir()):
            if tracers[-1].poll() is not None:
                pytest.skip("NO FAILING FSYNC IS TESTED: strace is not allowed to trace here")
            assert time.monotonic() < deadline
            time.sleep(0.01)

    yield break_syncs
    for tracer in tracers:
        tracer.terminate()
        tracer.wait()


def _traced(task: Path) -> bool:
    return "TracerPid:\t0\n" not in (task / "status").read_text()


def submitted(daemon: Any) -> int:
    """The status of a submit; 0 when the daemon was gone before it answered."""
    try:
        return int(daemon.call("POST", "/api/jobs", LATER).status)
    except OSError:
        return 0


def test_a_commit_that_is_not_durable_is_not_acknowledged(start: Any, break_syncs: Break) -> None:
    daemon = start().ready()
    before = [daemon.call("POST", "/api/jobs", LATER).body["jobId"] for _ in range(3)]
    break_syncs(daemon, "1")  # the next one would succeed, and say nothing of what this one lost
    assert submitted(daemon) not in (200, 201, 202)
    assert daemon.ended() == 74
    assert "disk I/O error" in daemon.log
    again = start().ready()
    assert [again.job(job_id)["status"] for job_id in before] == ["queued"] * 3
    assert again.submit(seconds=0)


def test_a_checkpoint_that_is_not_durable_ends_the_daemon_and_loses_nothing(start: Any, break_syncs: Break) -> None:
    daemon = start().ready()
    log, deadline = daemon.data / "queue.db-wal", time.monotonic() + 30
    while log.stat().st_size:  # the checkpoint after the start is not the one that is meant
        assert time.monotonic() < deadline
        time.sleep(0.05)
    break_syncs(daemon, "3+")  # the new log's header, the commit, and then the checkpoint
    job_id = daemon.call("POST", "/api/jobs", LATER).body["jobId"]
    assert daemon.ended() == 74
    assert start().ready().job(job_id)["status"] == "queued"
