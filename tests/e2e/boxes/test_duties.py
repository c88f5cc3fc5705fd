"""What one box at a time does for all of a queue: callbacks and schedules, over a kill, a freeze and a stop."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, starting
from tests.postgres_server import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]
TTL = 6.0
HOLDERS = "select name, split_part(boot, '/', 1), term from duties where boot is not null"
RUNS = "select idempotency_key from jobs where source = 'schedule' order by seq"


class Receiver:
    """Takes callbacks: `heard` are the job and the delivery of each; those to `/held` wait until `answer`."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.answer = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.heard.append((body["jobId"], self.headers["webhook-id"]))
                if self.path == "/held":
                    receiver.answer.wait(60)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, job_id: str) -> list[str]:
        """The deliveries of a job, one for each time that it came."""
        return [delivery for job, delivery in self.heard if job == job_id]

    def close(self) -> None:
        self.answer.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(tmp_path: Path, queue: str) -> Iterator[Callable[..., Daemon]]:
    """Starts the daemon of a box, in a folder of the box's own."""
    with starting(tmp_path) as start:

        def of(box: str, **environ: str) -> Daemon:
            settings = {
                "BOX": box,
                "DATA_DIR": str(tmp_path / box),
                "QUEUE_URL": queue,
                "LEASE_SECONDS": "5",
                "TYPES": "sleep",
                "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            }
            return start(**settings | environ).ready()

        yield of


def eventually(found: Callable[[], Any], within: float = 20) -> Any:
    """What is found, once it is anything."""
    deadline = time.monotonic() + within
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def holder(queue: str, duty: str) -> Any:
    """The box that has a duty, and the term."""
    return next(((box, term) for name, box, term in rows(queue, HOLDERS) if name == duty), None)


def submit(daemon: Daemon, url: str) -> str:
    """A job that ends at once, and tells that address."""
    body = {"type": "sleep", "payload": {"seconds": 0}, "callback": url}
    return str(daemon.call("POST", "/api/jobs", body).body["jobId"])


def test_callbacks_go_out_once_and_another_box_follows_a_dead_one_in_seconds(
    start: Any, queue: str, receiver: Receiver
) -> None:
    boxes = {"a": start("a"), "b": start("b")}
    first, term = eventually(lambda: holder(queue, "callbacks"))
    other = "b" if first == "a" else "a"
    ids = [submit(boxes[box], receiver.url) for box in ("a", "b") for _ in range(5)]
    eventually(lambda: rows(queue, "select count(*) from deliveries where state = 'delivered'") == [(len(ids),)])
    boxes[first].process.kill()
    boxes[first].process.wait()
    killed = time.monotonic()
    late = submit(boxes[other], receiver.url)
    eventually(lambda: receiver.of(late), within=TTL + 6)
    assert holder(queue, "callbacks") == (other, term + 1)
    assert time.monotonic() - killed > 1, "nobody takes what may still be held"
    time.sleep(1)
    assert {id: len(receiver.of(id)) for id in (*ids, late)} == dict.fromkeys((*ids, late), 1)
    again = start(first)
    assert holder(queue, "callbacks") == (other, term + 1), "who comes back does not take it from who has it"
    boxes[other].signal(signal.SIGTERM)
    assert boxes[other].ended() == 0
    eventually(lambda: holder(queue, "callbacks") == (first, term + 2), within=5)
    last = submit(again, receiver.url)
    eventually(lambda: receiver.of(last))


def test_a_box_that_starts_again_does_not_wait_for_its_dead_boot(start: Any, queue: str, receiver: Receiver) -> None:
    first = start("a")
    eventually(lambda: holder(queue, "callbacks") == ("a", 1))
    first.process.kill()
    first.process.wait()
    again = start("a")
    eventually(lambda: holder(queue, "callbacks") == ("a", 2), within=2)
    job_id = submit(again, receiver.url)
    eventually(lambda: receiver.of(job_id))


@pytest.mark.long
def test_a_frozen_holder_sends_the_same_at_most_and_records_nothing_that_is_stale(
    start: Any, queue: str, receiver: Receiver
) -> None:
    boxes = {"a": start("a"), "b": start("b")}
    first, term = eventually(lambda: holder(queue, "callbacks"))
    other = "b" if first == "a" else "a"
    job_id = submit(boxes[other], f"{receiver.url}/held")
    [id] = eventually(lambda: receiver.of(job_id))
    boxes[first].signal(signal.SIGSTOP)  # in the middle of the send
    eventually(lambda: holder(queue, "callbacks") == (other, term + 1), within=TTL + 4)
    eventually(lambda: len(receiver.of(job_id)) == 2)
    receiver.answer.set()

    def delivery() -> Any:
        return rows(queue, "select state, attempts from deliveries")

    eventually(lambda: delivery() == [("delivered", 1)])
    boxes[first].signal(signal.SIGCONT)
    log = boxes[first].log
    eventually(lambda: "duty.lost" in boxes[first].log, within=10)
    assert "duty.lost" not in log
    time.sleep(1)
    assert delivery() == [("delivered", 1)], "its own answer came too late to count"
    assert receiver.of(job_id) == [id, id]
    assert holder(queue, "callbacks") == (other, term + 1)
    assert boxes[first].process.poll() is None


def test_what_is_asked_for_at_another_box_is_done_a_retry_and_a_drain(
    start: Any, queue: str, receiver: Receiver
) -> None:
    boxes = {"a": start("a"), "b": start("b")}
    first, term = eventually(lambda: holder(queue, "callbacks"))
    other = boxes["b" if first == "a" else "a"]
    job_id = submit(other, receiver.url)
    [id] = eventually(lambda: receiver.of(job_id))
    eventually(lambda: rows(queue, "select 1 from deliveries where state = 'delivered'"))
    assert other.call("POST", f"/api/deliveries/{id}/retry").status == 200
    eventually(lambda: receiver.of(job_id) == [id, id], within=8)
    assert other.call("POST", f"/api/boxes/{first}/drain").status == 200
    moved = eventually(lambda: (now := holder(queue, "callbacks")) and now[0] != first and now, within=12)
    assert moved[1] == term + 1, "a box that drains leaves it to others"
    last = submit(other, receiver.url)
    eventually(lambda: receiver.of(last))


@pytest.mark.long
def test_schedules_run_once_over_a_takeover_and_are_moved_from_any_box(start: Any, queue: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    table = '[[schedule]]\nname = "{}"\ncron = "* * * * *"\noverlap = "queue"\n'
    job = 'job = {type = "sleep", payload = {seconds = 0}}\n'
    file.write_text("".join(table.format(name) + job for name in ("s", "p")))
    file.chmod(0o600)
    boxes = {box: start(box, SECONDUNIT_CONFIG=str(file)) for box in ("a", "b")}
    first, term = eventually(lambda: holder(queue, "schedules"))
    other = "b" if first == "a" else "a"

    def standing(box: str, name: str) -> Any:
        schedules = boxes[box].call("GET", "/api/schedules").body["schedules"]
        return next(one for one in schedules if one["name"] == name)

    assert boxes[other].call("POST", "/api/schedules/p/pause").status == 200
    assert standing(first, "p")["paused"] and standing(other, "p")["paused"]
    ran = boxes[other].call("POST", "/api/schedules/s/run").body["jobId"]
    assert standing(first, "s")["lastJobId"] == ran
    boxes[first].signal(signal.SIGSTOP)
    eventually(lambda: holder(queue, "schedules") == (other, term + 1), within=TTL + 4)
    boxes[first].signal(signal.SIGCONT)
    eventually(lambda: [key for (key,) in rows(queue, RUNS) if key], within=70)
    time.sleep(3)
    keys = [str(key) for (key,) in rows(queue, RUNS) if key]
    assert len(keys) == len(set(keys)) and all(key.startswith("schedule s ") for key in keys), "p is paused"
    assert standing(first, "s")["lastJobId"] == standing(other, "s")["lastJobId"] != ran
