"""Jobs whose input is a file of one box, and limits over all boxes: two daemons on one queue in PostgreSQL."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, starting
from tests.postgres_server import rows, started

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def queue() -> str:
    return started().database()


@pytest.fixture
def start(tmp_path: Path, queue: str) -> Iterator[Any]:
    """Starts the daemon of a box, in a folder of the box's own, with one folder that is the same on each."""
    (shared := tmp_path / "media" / "shared").mkdir(parents=True)
    with starting(tmp_path) as start:

        def of(box: str, **environ: str) -> Daemon:
            settings = {"BOX": box, "DATA_DIR": str(tmp_path / box), "QUEUE_URL": queue, "LEASE_SECONDS": "3"}
            roots = {"MEDIA_ROOTS": str(tmp_path / "media"), "SHARED_ROOTS": str(shared)}
            return start(**settings | roots | environ)

        yield of


def boxes_of(queue: str, *job_ids: str) -> list[str]:
    """On which boxes the jobs run."""
    held = rows(queue, "select id, split_part(boot, '/', 1) from leases join jobs on seq = job")
    found = {str(job_id): str(box) for job_id, box in held}
    return [str(found.get(job_id)) for job_id in job_ids]


def test_a_job_with_a_local_input_waits_for_its_box_and_says_so(start: Any, queue: str, tmp_path: Path) -> None:
    a, b = start("a").ready(), start("b").ready()
    film = str(tmp_path / "media" / "film.mp4")
    mine = a.submit(seconds=3600, source=film)
    anywhere = a.submit(seconds=3600, source=str(tmp_path / "media" / "shared" / "film.mp4"))
    assert b.until(mine, "running")["box"] == "a" and b.job(anywhere)["box"] is None
    b.until(anywhere, "running")
    assert boxes_of(queue, mine) == ["a"]
    a.process.kill()
    a.process.wait()
    deadline = time.monotonic() + 30
    while (job := b.job(mine))["status"] != "queued" or boxes_of(queue, anywhere) != ["b"]:
        assert time.monotonic() < deadline, (job, b.log)
        time.sleep(0.05)
    told = b.call("GET", f"/api/jobs/{mine}/explain").body
    assert told["reason"] == "box" and told["sentence"].startswith("its input is a local file of the box a"), told
    later = b.submit(seconds=0)
    b.until(later, "completed")
    assert b.job(mine)["status"] == "queued", "b takes what came later, and not this one"
    again = start("a").ready()
    assert again.until(mine, "running")["box"] == "a" and boxes_of(queue, mine) == ["a"]
    for job_id in (mine, anywhere):
        again.call("DELETE", f"/api/jobs/{job_id}")


def test_a_limit_over_all_boxes_holds_on_each(start: Any, queue: str) -> None:
    limits = {"GLOBAL_CONCURRENCY_SLEEP": "3", "CONCURRENCY_SLEEP": "2"}
    a, b = start("a", **limits).ready(), start("b", **limits).ready()
    jobs = [a.submit(seconds=3600) for _ in range(6)]
    deadline = time.monotonic() + 30
    while len(rows(queue, "select 1 from leases")) < 3:
        assert time.monotonic() < deadline, a.log
        time.sleep(0.05)
    held = boxes_of(queue, *jobs)
    assert sorted(box for box in held if box != "None") in (["a", "a", "b"], ["a", "b", "b"]), held
    free, full = (a, b) if held.count("a") == 1 else (b, a)
    waits = next(job_id for job_id, box in zip(jobs, held, strict=True) if box == "None")
    told = free.call("GET", f"/api/jobs/{waits}/explain").body
    assert told["reason"] == "slot" and "3 of 3 slots over all boxes are busy" in told["sentence"], told
    ended = next(job_id for job_id, box in zip(jobs, held, strict=True) if box == ("a" if full is a else "b"))
    assert free.call("DELETE", f"/api/jobs/{ended}").status in (200, 202)
    free.until(waits, "running")
    assert len(rows(queue, "select 1 from leases")) == 3
