"""A box that is asked to stop while it is frozen, and goes on later: it ends by itself, and writes nothing stale."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon
from tests.postgres_server import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HOLDER = "select split_part(boot, '/', 1), lease_epoch from leases"
TOLD = "select e.name from events e join jobs j on j.seq = e.job where j.id = %s order by e.seq"


def until(found: Any, daemon: Daemon, within: float = 30) -> Any:
    deadline = time.monotonic() + within
    while not (value := found()):
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.05)
    return value


@pytest.mark.parametrize(
    "asked", [True, pytest.param(False, marks=pytest.mark.long)], ids=["asked to stop", "only frozen"]
)
def test_a_box_that_was_frozen_past_its_lease_writes_nothing_of_what_others_took(
    start: Any, queue: str, tmp_path: Path, *, asked: bool
) -> None:
    boxes = {name: start(name) for name in "ab"}
    for daemon in boxes.values():
        daemon.ready()
    go, marks = tmp_path / "go", tmp_path / "marks"
    marks.mkdir()
    body = {"type": "sleep", "payload": {"until": str(go), "marks": str(marks)}}
    job_id = boxes["a"].call("POST", "/api/jobs", body).body["jobId"]
    [(first, epoch)] = until(lambda: rows(queue, HOLDER), boxes["a"])
    frozen, other = boxes[str(first)], boxes["b" if first == "a" else "a"]
    until(lambda: list(marks.iterdir()), frozen)
    frozen.signal(signal.SIGSTOP)
    if asked:
        frozen.signal(signal.SIGTERM)  # it hears of it once it goes on
    [(second, later)] = until(lambda: (now := rows(queue, HOLDER)) and now[0][0] not in (None, first) and now, other)
    assert second != first and int(str(later)) > int(str(epoch)), "the lease ran out"
    frozen.signal(signal.SIGCONT)
    if asked:
        assert frozen.ended() == 0, frozen.log
        assert rows(queue, HOLDER) == [(second, later)], "its drain put nothing back that is another's now"
    else:
        until(lambda: "lost" in frozen.log, frozen)
    go.touch()
    job = other.until(job_id, "completed")
    assert [run["outcome"] for run in job["attempts"]] == ["lost", "completed"] and job["attempt"] == 1, job
    if not asked:
        time.sleep(1)  # its own end came too late
        assert frozen.process.poll() is None
    assert [name for (name,) in rows(queue, TOLD, [job_id])] == ["queued", "started", "queued", "started", "completed"]
    [(result, ended)] = rows(queue, "select result, epoch from jobs")
    assert json.loads(str(result)) == {"slept": 0.0} and ended == later
    expected = {str(second): "up", str(first): "gone" if asked else "up"}

    def listed() -> bool:
        boxes = other.call("GET", "/api/boxes").body["boxes"]
        return {box["name"]: box["state"] for box in boxes} == expected

    until(listed, other)
