"""Two boxes on one queue: each lists both, one is drained through the other, one is killed, one name is used twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, environment_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def box(daemon: Daemon, name: str) -> Any:
    """A box, as this daemon lists it."""
    listed = daemon.call("GET", "/api/boxes")
    assert listed.status == 200, listed
    return next(one for one in listed.body["boxes"] if one["name"] == name)


def until(holds: Callable[[], Any], daemon: Daemon, within: float = 20) -> Any:
    """What it gives, once that is something."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, (daemon.call("GET", "/api/boxes"), daemon.log)
        time.sleep(0.05)
    return found


def test_one_box_is_drained_through_another_and_one_that_is_killed_is_gone(start: Any, tmp_path: Path) -> None:
    boxes = {name: start(name, CONCURRENCY_SLEEP="1") for name in "ab"}
    for daemon in boxes.values():
        daemon.ready()
    for daemon in boxes.values():
        listed = daemon.call("GET", "/api/boxes").body["boxes"]
        assert [(one["name"], one["state"], one["running"]) for one in listed] == [("a", "up", 0), ("b", "up", 0)]
        assert [one["address"] for one in listed] == [f"http://127.0.0.1:{boxes[name].port}" for name in "ab"]
        assert "sleep" in listed[0]["types"] and listed[0]["capacityByType"]["sleep"] == 1
    first = boxes["a"].submit(seconds=6)
    drained = until(lambda: next((name for name in "ab" if box(boxes["a"], name)["running"]), None), boxes["a"])
    other = "b" if drained == "a" else "a"
    safe = {name: boxes[name].call("GET", "/api/admin/check").body["safe"] for name in "ab"}
    assert safe == {other: True, drained: False}, "a restart stops what runs there, and nothing else"
    assert boxes[other].call("POST", f"/api/boxes/{drained}/drain").body["state"] == "draining"
    until(lambda: "has it start" in boxes[drained].log, boxes[drained])
    second = boxes[drained].submit(seconds=0.1)
    boxes[drained].until(second, "completed")
    third = boxes[drained].submit(seconds=0.1)
    boxes[drained].until(third, "completed")
    assert boxes[other].until(first, "completed")["attempts"][0]["outcome"] == "completed", "it ended where it ran"
    [one] = [one for one in boxes[drained].call("GET", "/api/boxes").body["boxes"] if one["state"] == "draining"]
    assert (one["name"], one["running"]) == (drained, 0)
    assert boxes[drained].call("GET", "/health").status == 200, "it stays up and serves"
    held = [boxes[other].submit(seconds=3600) for _ in range(2)]
    until(lambda: box(boxes[drained], other)["running"] == 1, boxes[other])
    assert boxes[drained].call("POST", f"/api/boxes/{drained}/resume").body["state"] == "up"
    until(lambda: box(boxes[other], drained)["running"] == 1, boxes[other])
    assert {boxes[other].job(id)["status"] for id in held} == {"running"}
    boxes[drained].process.kill()
    boxes[drained].process.wait()
    gone = until(lambda: (now := box(boxes[other], drained))["state"] == "gone" and now, boxes[other])
    assert gone["boot"] == one["boot"] and box(boxes[other], other)["state"] == "up"


def test_a_drain_stands_over_a_restart_and_an_end_is_told_at_once(start: Any, tmp_path: Path, queue: str) -> None:
    a, b = start("a").ready(), start("b").ready()
    command = [sys.executable, "-m", "secondunit", "boxes"]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "a"), "SECONDUNIT_CONFIG": os.devnull}

    def said(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=environment | {"QUEUE_URL": queue}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done
        return done.stdout

    assert json.loads(said("drain", "b", "--json"))["state"] == "draining"
    b.signal(signal.SIGTERM)
    assert b.ended() == 0
    assert box(a, "b")["state"] == "gone", "it said so at its end"
    assert said("drain", "b") == "b is gone; once it is back it starts nothing, until it is resumed\n"
    again = start("b").ready()
    assert (box(a, "b")["state"], box(again, "b")["state"]) == ("draining", "draining")
    assert "was drained before this start" in again.log
    said("resume", "b")
    head, *rows = [line.split() for line in said().splitlines()]
    assert head[:3] == ["BOX", "STATE", "RUNNING"] and [row[:2] for row in rows] == [["a", "up"], ["b", "up"]]


def test_a_second_daemon_of_one_name_says_so_and_the_first_goes_on(start: Any, tmp_path: Path, queue: str) -> None:
    first = start("a").ready()
    job_id = first.submit(seconds=3600)
    first.until(job_id, "running")
    second = start("a", DATA_DIR=str(tmp_path / "elsewhere"))
    assert second.ended() == 75
    boot = box(first, "a")["boot"]
    assert "BOX: a is the name of another daemon on this queue" in second.log and boot in second.log
    job = first.job(job_id)
    assert job["status"] == "running" and len(job["attempts"]) <= 1, "nothing of the first one's was freed"
    assert first.process.poll() is None
    first.process.kill()
    first.process.wait()
    for name, safe in (("a", False), ("b", True)):
        environment = environment_of(tmp_path / name) | {"BOX": name, "QUEUE_URL": queue}
        command = [sys.executable, "-m", "secondunit", "check", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert json.loads(done.stdout)["safe"] is safe, done
    assert start("a").ready().job(job_id)["status"] in ("queued", "running"), "its own next boot does not wait"


def test_a_type_that_a_box_leaves_out_is_queued_there_and_runs_elsewhere(start: Any, tmp_path: Path) -> None:
    refused = start("c", TYPES="sleep,nosuch")
    assert refused.ended() == 78
    assert "TYPES: 'nosuch' is no job type; allowed:" in refused.log
    front, back = start("front", TYPES="webp"), start("back", TYPES="sleep", CONCURRENCY_SLEEP="3")
    front.ready(), back.ready()
    front.until(front.submit(seconds=0), "completed")
    limits = {name: box(front, name)["capacityByType"] for name in ("front", "back")}
    assert (limits["front"].get("sleep"), limits["back"]["sleep"]) == (None, 3)
    job = {"type": "sleep", "payload": {"source": str(tmp_path / "film.mp4")}}
    answer = front.call("POST", "/api/jobs", job)
    assert answer.status == 422 and "input of this job is a file of this box alone" in answer.body["detail"], answer
    back.until(back.call("POST", "/api/jobs", job).body["jobId"], "completed")
