"""Remote workers of several boxes on one queue: a lease of one box at another, and a box that dies under it."""

import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, Daemon, starting
from tests.postgres_server import PostgresServer, started

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CONFIG = """
[remote_types.ocr]
concurrency = 2
schema = { type = "object", properties = { page = { type = "integer" } }, required = ["page"] }
"""


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


@pytest.fixture
def start(tmp_path: Path, server: PostgresServer) -> Iterator[Any]:
    """Starts the daemon of a box, in a folder of the box's own."""
    (config := tmp_path / "config.toml").write_text(CONFIG)
    queue = server.database()
    with starting(tmp_path) as start:

        def of(box: str, **environ: str) -> Daemon:
            settings = {"BOX": box, "DATA_DIR": str(tmp_path / box), "QUEUE_URL": queue}
            settings |= {"SECONDUNIT_CONFIG": str(config), "LEASE_SECONDS": "10"}
            return start(**settings | environ)

        yield of


@pytest.fixture
def boxes(start: Any) -> tuple[Daemon, Daemon]:
    a, b = start("a"), start("b")
    return a.ready(), b.ready()


def submit(daemon: Daemon, page: int = 1) -> str:
    answer = daemon.call("POST", "/api/jobs", {"type": "ocr", "payload": {"page": page}})
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


def take(daemon: Daemon, worker: str = "w1", wait: float = 0, most: int = 1) -> list[dict[str, Any]]:
    ask = {"types": ["ocr"], "worker": worker, "waitSeconds": wait, "max": most}
    answer = daemon.call("POST", "/api/leases", ask, within=90)
    assert answer.status == 200, answer
    return list(answer.body["leases"])


def one(daemon: Daemon, at: Daemon | None = None) -> tuple[str, str]:
    """A job that was submitted and leased at this box, and the path of its lease."""
    job_id = submit(daemon)
    [lease] = take(at or daemon, wait=10)
    assert lease["jobId"] == job_id
    return job_id, f"/api/leases/{lease['token']}"


def send(daemon: Daemon, path: str, content: bytes) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}{path}", data=content, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  our own daemon's address
        return int(answer.status)


def test_a_lease_of_one_box_is_good_at_every_other(boxes: tuple[Daemon, Daemon]) -> None:
    a, b = boxes
    job_id, path = one(a)
    assert b.call("PUT", path, {"progress": 10}).body["cancelRequested"] is False
    assert a.call("PUT", f"{path}/steps/page-1", {"result": 7}).status == 200
    assert send(b, f"{path}/artifacts/text.json", b'"hello"') == 200
    assert a.call("PUT", path, {"progress": 60, "message": "still"}).status == 200
    assert b.job(job_id)["progress"] == 60
    assert [each.call("POST", f"{path}/complete", {"result": "done"}) for each in (b, a, b)] == [
        Answer(200, {"jobId": job_id, "status": "completed"})
    ] * 3
    assert a.call("POST", f"{path}/complete", {"result": "otherwise"}).status == 409
    listed = f"/api/jobs/{job_id}/artifacts"
    [told] = a.call("GET", listed).body["artifacts"]
    assert (told["name"], told["size"], told["box"]) == ("text.json", 7, "b")
    assert "on the box b" in a.call("GET", f"{listed}/text.json").body["detail"]
    assert b.call("GET", f"{listed}/text.json") == Answer(200, "hello")


def test_a_worker_that_waits_at_one_box_gets_what_comes_to_another(boxes: tuple[Daemon, Daemon]) -> None:
    a, b = boxes
    came: list[tuple[float, dict[str, Any]]] = []
    waits = threading.Thread(target=lambda: came.extend((time.monotonic(), one) for one in take(b, wait=20)))
    waits.start()
    time.sleep(1)
    at = time.monotonic()
    job_id = submit(a)
    waits.join(30)
    [(then, lease)] = came
    assert lease["jobId"] == job_id
    assert then - at < 5, "a look four times a second finds it"


def test_a_cancel_at_one_box_is_told_at_another(boxes: tuple[Daemon, Daemon]) -> None:
    a, b = boxes
    job_id, path = one(a)
    cancelling = threading.Thread(target=lambda: b.call("DELETE", f"/api/jobs/{job_id}"))
    cancelling.start()  # which waits for a run to stop
    deadline = time.monotonic() + 20
    while not all(each.call("PUT", path, {}).body["cancelRequested"] for each in boxes):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert b.call("POST", f"{path}/release", {"reason": "stopped"}).body["status"] == "cancelled"
    cancelling.join(30)


@pytest.mark.long
def test_leases_of_a_box_that_dies_are_kept_while_they_last_and_then_held_against_nobody(start: Any) -> None:
    lease = 15.0  # longer than a start takes
    settings = {"LEASE_SECONDS": f"{lease:g}"}
    a, b = start("a", **settings), start("b", **settings)
    a.ready(), b.ready()
    job_id, path = one(a)
    a.process.kill()
    a.process.wait()
    a = start("a", **settings).ready()
    for each in (a, b):  # the restart of its box has freed nothing
        assert each.call("PUT", path, {}).status == 200
    assert a.call("PUT", path, {}).status == 200
    silent = time.monotonic()
    a.process.kill()
    a.process.wait()
    [again] = take(b, "w2", wait=20)
    took = time.monotonic() - silent
    assert (again["jobId"], again["attempt"], again["epoch"]) == (job_id, 1, 2)
    assert lease - 0.5 < took < lease + 15, "as soon as the lease has run out, and its own box had its time to free it"
    assert b.call("PUT", path, {}).status == 409
    [run] = b.job(job_id)["attempts"]
    assert run["outcome"] == "lost", "its worker had nobody to renew it at: no fault of the job"


def test_a_box_that_stops_leaves_its_leases_to_the_others(boxes: tuple[Daemon, Daemon]) -> None:
    a, b = boxes
    job_id, path = one(a)
    a.signal(signal.SIGTERM)
    assert a.ended() == 0, "a lease of a worker elsewhere holds up no stop"
    assert b.call("PUT", path, {}).status == 200
    assert b.call("POST", f"{path}/complete", {"result": 1}).body == {"jobId": job_id, "status": "completed"}


def test_a_type_has_its_limit_over_all_boxes(boxes: tuple[Daemon, Daemon]) -> None:
    a, b = boxes
    for page in range(1, 7):
        submit(a, page)
    for _ in range(8):
        with ThreadPoolExecutor() as both:
            taken = [lease for leases in both.map(partial(take, most=5), boxes) for lease in leases]
        assert len(taken) == 2, "of two that may be leased"
        for each, lease in zip((b, a), taken, strict=True):
            each.call("POST", f"/api/leases/{lease['token']}/release", {"reason": "only looked"})


@pytest.mark.long
def test_the_queue_s_server_may_be_away_for_a_while(boxes: tuple[Daemon, Daemon], server: PostgresServer) -> None:
    a, _ = boxes
    job_id, path = one(a)
    server.stop(signal.SIGQUIT)
    time.sleep(14)
    server.start()
    deadline = time.monotonic() + 30
    while (answer := a.call("PUT", path, {})).status in (500, 503):
        assert time.monotonic() < deadline, (answer, a.log)
        time.sleep(0.2)
    assert answer.status == 200, "nobody could renew it meanwhile"
    assert a.call("POST", f"{path}/complete", {"result": 1}).body == {"jobId": job_id, "status": "completed"}
    assert [each.process.poll() for each in boxes] == [None, None], a.log
