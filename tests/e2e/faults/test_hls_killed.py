"""A transcode interrupted at any moment: nothing half made is seen, nothing is left, and it is done in the end."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
Programs = Callable[[], dict[int, str]]
STARTS_WITHIN, COMPLETE = 15.0, 45.0


@pytest.fixture
def submit(film: Path) -> Callable[[Any], str]:
    """Submits the transcode of the film, into the folder `out` of the daemon's media."""

    def submit(daemon: Any) -> str:
        source = daemon.data / "media" / "film.mp4"
        shutil.copyfile(film, source)
        payload = {"inputPath": str(source), "outputDir": str(out(daemon)), "qualities": ["360p", "240p"]}
        answer = daemon.call("POST", "/api/jobs", {"type": "hls", "payload": payload})
        assert answer.status == 201, answer
        return str(answer.body["jobId"])

    return submit


def out(daemon: Any) -> Path:
    return Path(daemon.data / "media" / "out")


def staged(daemon: Any) -> list[Path]:
    return list((daemon.data / "media" / ".secondunit").glob("*"))


def phase(daemon: Any, programs: Programs) -> str:
    """What the job is at, by what can be seen from outside."""
    if out(daemon).exists():
        return "published"
    if list((daemon.data / "media" / ".secondunit").glob("*/*/master.m3u8")):
        return "publishing"
    alive = " ".join(programs().values())
    return "encoding" if "-progress" in alive else "probing" if "ffprobe" in alive else ""


def reach(daemon: Any, programs: Programs, *wanted: str) -> None:
    deadline = time.monotonic() + COMPLETE
    while phase(daemon, programs) not in wanted:
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.001)


def whole(daemon: Any, job: Any) -> bool:
    """Whether all that the manifest names is there, and nothing else is anywhere."""
    manifest = json.loads((out(daemon) / "manifest.json").read_text())
    sizes = {name: (out(daemon) / name).stat().st_size for name in manifest["files"]}
    placed = str(out(daemon) / "master.m3u8")
    return bool(job["result"]["masterPath"] == placed and sizes == manifest["files"])


def test_after_a_kill_in_the_midst_nothing_is_left_and_the_job_is_done_again(
    start: Any, submit: Any, programs: Programs
) -> None:
    daemon = start().ready()
    job_id = submit(daemon)
    reach(daemon, programs, "encoding")
    time.sleep(0.3)
    daemon.process.kill()
    daemon.process.wait()
    died = time.monotonic()
    while programs():
        assert time.monotonic() - died < 5, programs()
        time.sleep(0.01)
    assert not out(daemon).exists()
    again = start().ready()
    answering = time.monotonic()
    while phase(again, programs) == "":  # its row says "running" from before
        assert time.monotonic() - answering < STARTS_WITHIN, again.log
    job = again.until(job_id, "completed", within=COMPLETE)
    assert (job["attempt"], [run["outcome"] for run in job["attempts"]]) == (1, ["crashed", "completed"])
    assert whole(again, job) and staged(again) == []


@pytest.mark.parametrize("at", [pytest.param("probing", marks=pytest.mark.long), "encoding", "publishing"])
def test_a_drain_lets_the_transcode_end(start: Any, submit: Any, programs: Programs, at: str) -> None:
    daemon = start(DRAIN_SECONDS="60").ready()
    job_id = submit(daemon)
    reach(daemon, programs, at, "published")
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(COMPLETE) == 0 and not programs() and staged(daemon) == []
    job = start().ready().job(job_id)
    assert job["status"] == "completed" and whole(daemon, job)


@pytest.mark.parametrize(
    "at",
    [pytest.param("probing", marks=pytest.mark.long), "encoding", pytest.param("publishing", marks=pytest.mark.long)],
)
def test_a_second_signal_puts_the_transcode_back_whole_or_not_at_all(
    start: Any, submit: Any, programs: Programs, at: str
) -> None:
    daemon = start(DRAIN_SECONDS="60").ready()
    job_id = submit(daemon)
    reach(daemon, programs, at, "published")
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    time.sleep(0.05)
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0 and time.monotonic() - began < 30
    assert not programs() and staged(daemon) == []
    again = start().ready()
    job = again.until(job_id, "completed", within=COMPLETE)
    assert job["attempt"] == 1 and whole(again, job)
    assert {run["outcome"] for run in job["attempts"][:-1]} <= {"interrupted"}
