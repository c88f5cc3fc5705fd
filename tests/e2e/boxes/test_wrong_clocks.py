"""Boxes whose clocks are wrong by an hour: leases, delays, retries and times go by the database's clock."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.formats import instant
from tests.e2e.conftest import Daemon, environment_of, installed_plugin, starting
from tests.postgres_server import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LEASE = 5
# Before anything of the daemon is imported; the system clock alone, as who sets it does.
WRONG = """
import os, time
right, ahead = time.time, float(os.environ["CLOCK_AHEAD"])
time.time = lambda: right() + ahead
"""
FLAKY = """
from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Transient


class Payload(BaseModel):
    n: int = 0


def build(tools):
    async def run(ctx, payload):
        if ctx.attempt == 1:
            raise Transient("not yet")
        return {"attempt": ctx.attempt}

    return HandlerSpec(type="flaky", payload=Payload, run=run, concurrency=50)
"""


TIMES = ("created_at from jobs", "finished_at from jobs", "at from events", "seen_at from boxes")


@pytest.fixture
def boxes(tmp_path: Path, queue: str) -> Iterator[dict[str, Daemon]]:
    """A box whose clock is right, one an hour ahead, one an hour behind."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(WRONG)
    flaky = installed_plugin(tmp_path / "flaky", "flaky", FLAKY)
    with starting(tmp_path) as start:
        path = environment_of(tmp_path, tmp_path / "clock", flaky, tmp_path / "plugins")["PYTHONPATH"]
        found = {
            box: start(
                BOX=box, CLOCK_AHEAD=str(ahead), PYTHONPATH=path, QUEUE_URL=queue, LEASE_SECONDS=str(LEASE),
                DATA_DIR=str(tmp_path / box), MAX_CONCURRENT_JOBS="4",
            )
            for box, ahead in (("right", 0), ("ahead", 3600), ("behind", -3600))
        }  # fmt: skip
        for daemon in found.values():
            daemon.ready()
        yield found


def submit(daemon: Daemon, type: str, payload: Any, **fields: Any) -> str:
    answer = daemon.call("POST", "/api/jobs", {"type": type, "payload": payload, **fields})
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


def seconds(at: object) -> float:
    """Since 1970, of a time in the database."""
    return int(str(at)) / 1e6


def starts(queue: str, job_id: str) -> list[float]:
    sql = "select at from events where job = (select seq from jobs where id = %s) and name = 'started' order by at"
    return [seconds(at) for (at,) in rows(queue, sql, [job_id])]


def test_what_has_a_time_has_the_database_s_whichever_box_it_is_asked_of(boxes: dict[str, Daemon], queue: str) -> None:
    began = time.time()
    right = boxes["right"]
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)  # as it is sent: in milliseconds
    delayed = [submit(box, "sleep", {"seconds": 0}, runAt=instant(at)) for box in boxes.values()]
    retry = {"maxRetries": 1, "backoff": "fixed", "initialDelay": 3000}
    failing = [submit(box, "flaky", {"n": n}, retryPolicy=retry) for n, box in enumerate(boxes.values())]
    # More than one box has room for, so each runs some, for longer than a lease: the others' clocks take none away.
    held = [submit(box, "sleep", {"seconds": LEASE + 2}) for box in boxes.values() for _ in range(3)]
    for job_id in delayed + failing + held:
        right.until(job_id, "completed")
    for job_id in delayed:
        [start] = starts(queue, job_id)
        assert at.timestamp() <= start < at.timestamp() + 15, "neither an hour early nor an hour late"
    for job_id in failing:
        first, second = starts(queue, job_id)
        assert 2.5 <= second - first < 20
    assert [len(starts(queue, job_id)) for job_id in held] == [1] * len(held), "no lease was thought over"
    ran = {box for (box,) in rows(queue, "select distinct split_part(boot, '/', 1) from boxes")}
    assert ran == set(boxes)
    for times in TIMES:
        found = [seconds(at) for (at,) in rows(queue, f"select {times}")]
        assert found and began - 60 <= min(found) and max(found) <= time.time() + 60, times
    listed = right.call("GET", "/api/boxes").body["boxes"]
    assert {box["name"]: box["state"] for box in listed} == dict.fromkeys(boxes, "up")


@pytest.mark.long
@pytest.mark.parametrize("dies", ["ahead", "behind"])
def test_jobs_of_a_dead_box_go_on_after_its_lease_not_an_hour_sooner_or_later(
    boxes: dict[str, Daemon], queue: str, tmp_path: Path, dies: str
) -> None:
    go = tmp_path / "go"
    ids = [submit(boxes["right"], "sleep", {"until": str(go)}) for _ in range(12)]
    for job_id in ids:
        boxes["right"].until(job_id, "running")
    sql = "select j.id from leases l join jobs j on j.seq = l.job where split_part(l.boot, '/', 1) = %s"
    its = [str(id) for (id,) in rows(queue, sql, [dies])]
    assert its, "each has room for four of the twelve"
    boxes[dies].process.kill()
    boxes[dies].process.wait()
    died = time.time()
    survivor = next(box for name, box in boxes.items() if name not in (dies, "right"))
    for name in boxes.keys() - {dies}:
        boxes[name].call("PATCH", "/api/types/sleep", {"concurrency": 40})
    go.touch()
    for job_id in ids:
        survivor.until(job_id, "completed")
    for job_id in its:
        _, second = starts(queue, job_id)
        assert LEASE / 3 < second - died < LEASE + 15, "a lease that was renewed at most a third of it before"
    assert {len(starts(queue, job_id)) for job_id in set(ids) - set(its)} == {1}


@pytest.mark.long
@pytest.mark.parametrize("holder", ["ahead", "behind"])
def test_a_schedule_fires_by_the_database_s_clock(tmp_path: Path, queue: str, holder: str) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(WRONG)
    file = tmp_path / "config.toml"
    file.write_text('[[schedule]]\nname = "s"\ncron = "* * * * *"\njob = {type = "sleep", payload = {seconds = 0}}\n')
    file.chmod(0o600)
    with starting(tmp_path) as start:
        path = environment_of(tmp_path, tmp_path / "clock", tmp_path / "plugins")["PYTHONPATH"]
        began = time.time()
        daemon = start(
            CLOCK_AHEAD={"ahead": "3600", "behind": "-3600"}[holder], PYTHONPATH=path, QUEUE_URL=queue,
            SECONDUNIT_CONFIG=str(file),
        ).ready()  # fmt: skip
        deadline = time.monotonic() + 80
        while not (ran := rows(queue, "select created_at from jobs where source = 'schedule'")):
            assert time.monotonic() < deadline, daemon.log
            time.sleep(0.5)
        [(created,)] = ran
        at = seconds(created)
        assert began < at < time.time() + 1 and at % 60 < 20, "at a full minute of the server's clock, once"
        [one] = daemon.call("GET", "/api/schedules").body["schedules"]
        assert abs(datetime.fromisoformat(one["nextAt"]).timestamp() - at) < 70, one
