"""Three boxes on one queue in PostgreSQL under load: one is killed, one frozen, one cut off, and the server crashes."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes.networks import SERVER, Wire, possible, wired
from tests.e2e.conftest import Daemon, beside, environment_of, installed_plugin, starting
from tests.postgres_server import PostgresServer, rows, started
from tests.torture.evidence import Reading
from tests.torture.reader import Reader

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not possible(), reason="NO BOX IS CUT OFF: only root can make networks"),
]
LEASE = 6
ROOM = 12
BATCH = 100
PATIENCE = 600  # seconds that a busy machine may take for ten thousand jobs
ENDS = ("completed", "partial", "failed", "cancelled")
HISTORIES = """
select job, name, at, null, null from events where job = any(%s)
union all select seq, status, ready_at, epoch, boot from jobs left join leases on job = seq where seq = any(%s)
order by 1, 3"""
SESSIONS = """
select pid, state, wait_event_type, wait_event, now() - xact_start, now() - state_change, pg_blocking_pids(pid), query
from pg_stat_activity
where datname = current_database() and xact_start is not null"""
PLUGIN = """
import asyncio, os

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    seconds: float


def build(tools):
    async def run(ctx, payload):
        await asyncio.sleep(payload.seconds)
        return {"epoch": ctx.epoch, "box": os.environ["BOX"]}

    return HandlerSpec(type="tick", payload=Payload, run=run)
"""


@dataclass
class Boxes:
    """The three, by name; `c` stands behind a wire."""

    server: PostgresServer
    url: str
    wire: Wire
    daemons: dict[str, Daemon]
    start: Callable[[str], Daemon]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return rows(self.url, sql, values)

    def held(self, box: str) -> list[int]:
        """The numbers of the jobs that run there, by their leases."""
        return [seq for (seq,) in self.rows("select job from leases where split_part(boot, '/', 1) = %s", box)]

    def at_work(self, box: str) -> bool:
        """Whether it runs what it has room for, under leases that it has just taken or renewed."""
        fresh = "select count(*) from leases where split_part(boot, '/', 1) = %s and lease_until > %s"
        [(n,)] = self.rows(fresh, box, int((time.time() + LEASE / 2) * 1e6))
        return bool(n >= ROOM // 2)

    def reruns(self, seqs: Sequence[int], since: float) -> list[float]:
        """How many seconds after `since` each of these jobs was started next."""
        sql = "select min(at) from events where job = any(%s) and name = 'started' and at > %s group by job order by 1"
        return [at / 1e6 - since for (at,) in self.rows(sql, list(seqs), int(since * 1e6))]


@contextmanager
def three(folder: Path) -> Iterator[Boxes]:
    """Three daemons that answer; one of them in a network of its own."""
    with ExitStack() as stack:
        wire = stack.enter_context(wired())
        server = started("-c", f"listen_addresses={SERVER}", under=wire.server)
        url = server.database()
        start = stack.enter_context(starting(folder))
        plugins = installed_plugin(folder / "tick", "tick", PLUGIN)
        doors = set[int]()

        def of(box: str) -> Daemon:
            """One of the box, on the port that it always had."""
            there = box == "c"
            database = f"postgresql://tester@{SERVER}/{url.partition('@/')[2].partition('?')[0]}" if there else url
            settings = {"BOX": box, "DATA_DIR": str(folder / box), "QUEUE_URL": database, "LEASE_SECONDS": str(LEASE)}
            room = {"CONCURRENCY_TICK": str(ROOM), "MAX_CONCURRENT_JOBS": str(ROOM)}
            path = {"PYTHONPATH": environment_of(folder, plugins)["PYTHONPATH"]}
            port = {"PORT": str(boxes.daemons[box].port)} if box in boxes.daemons else {}
            daemon = start(under=wire.box if there else (), **settings, **room, **path, **port)
            daemon.port = int(port["PORT"]) if port else daemon.port
            if there and daemon.port not in doors:
                doors.add(daemon.port)
                stack.enter_context(wire.door(daemon.port))
            return daemon

        boxes = Boxes(server, url, wire, {}, of)
        boxes.daemons |= {box: of(box) for box in "abc"}
        for daemon in boxes.daemons.values():
            daemon.ready()
        yield boxes


class Client:
    """Submits jobs one by one, each with a key until it is answered, to one box whatever becomes of that."""

    def __init__(self, box: str, boxes: Boxes, n: int, payload: object) -> None:
        self.acknowledged: list[str] = []
        self._box, self._boxes, self._n, self._payload = box, boxes, n, payload
        self._thread = threading.Thread(target=self._run, daemon=True)  # a test that failed ends all the same

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def done(self) -> list[str]:
        """The ids of the jobs, once each submit was answered."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"{self._box} answered {len(self.acknowledged)} of {self._n}"
        return self.acknowledged

    def _run(self) -> None:
        for n in range(self._n):
            body = {"type": "tick", "payload": self._payload}
            while True:
                try:
                    daemon = self._boxes.daemons[self._box]
                    answer = daemon.call("POST", "/api/jobs", body, 15, Idempotency_Key=f"{self._box}-{n}")
                except OSError:
                    time.sleep(0.2)
                    continue
                if answer.status in (200, 201):
                    self.acknowledged.append(answer.body["jobId"])
                    break
                assert answer.status >= 500, answer


def until(
    holds: Callable[[], object], boxes: Boxes, within: float, what: str, seen: Callable[[], object] = lambda: ""
) -> None:
    """Wait until it holds; if that takes too long, tell what is `seen` of it, and the ends of the logs."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            logs = (f"{box}: {daemon.log[-1500:]}" for box, daemon in boxes.daemons.items())
            raise AssertionError("\n".join([what, str(seen()), *logs]))
        time.sleep(0.05)


def struck(boxes: Boxes, box: str, strike: Callable[[], object]) -> None:
    """Strike a box that is at work; others take over what it ran, the first within the lease and a second."""
    until(lambda: boxes.at_work(box), boxes, 60, f"{box} is at work")
    strike()
    at = time.time()
    time.sleep(0.3)  # a commit on its way has arrived
    held = boxes.held(box)
    assert held

    def histories() -> object:
        return boxes.rows(SESSIONS), boxes.rows(HISTORIES, held, held)

    until(lambda: len(boxes.reruns(held, at)) == len(held), boxes, 3 * LEASE, f"{box}'s jobs run again", histories)
    took = boxes.reruns(held, at)
    print(
        f"{box}: {len(held)} jobs ran again {took[0]:.2f} to {took[-1]:.2f} s after it was struck, leases of {LEASE} s"
    )
    assert took[0] <= LEASE + 1, took


def suffer(boxes: Boxes, cut_for: float) -> None:
    """All that may happen to boxes, one after the other."""
    a, b = boxes.daemons["a"], boxes.daemons["b"]
    struck(boxes, "a", a.process.kill)
    a.process.wait()
    boxes.daemons["a"] = boxes.start("a").ready()
    struck(boxes, "b", lambda: b.signal(signal.SIGSTOP))
    b.signal(signal.SIGCONT)
    boxes.server.stop(signal.SIGQUIT)
    time.sleep(1)
    boxes.server.start()
    at = time.monotonic()
    struck(boxes, "c", boxes.wire.cut)
    time.sleep(max(0.0, at + cut_for - time.monotonic()))
    boxes.wire.join()


def judge(boxes: Boxes, acknowledged: Sequence[str], readings: Sequence[Reading]) -> None:
    """Each job ended once, by the run that held it; each reader was told all of it, in order."""
    jobs = boxes.rows("select seq, id, status, epoch, result, attempt from jobs order by seq")
    assert sorted(id for _, id, *_ in jobs) == sorted(acknowledged), "what was acknowledged is there, and nothing else"
    assert {(status, attempt) for _, _, status, _, _, attempt in jobs} == {("completed", 1)}
    told: dict[int, list[str]] = {seq: [] for seq, *_ in jobs}
    for seq, name in boxes.rows("select job, name from events order by seq"):
        told[seq].append(name)
    for seq, id, _, epoch, result, _ in jobs:
        names = told[seq]
        assert sum(name in ENDS for name in names) == 1 and names[-1] == "completed", (id, names)
        assert all(after in FOLLOWS[before] for before, after in pairwise(["", *names])), (id, names)
        assert names.count("started") == epoch == json.loads(result)["epoch"], (id, names, epoch, result)
    assert boxes.rows("select count(*) from leases") == [(0,)]
    events = [seq for (seq,) in boxes.rows("select seq from events order by seq")]
    assert events == [*range(1, len(events) + 1)]
    for reading in readings:
        assert (list(reading.seqs), reading.resets) == (events[reading.start :], 0), reading.name


FOLLOWS = {"": {"queued"}, "queued": {"started"}, "started": {"queued", "completed"}}


def play(folder: Path, n: int, cut_for: float) -> None:
    """So many jobs on three boxes that suffer; half of them are there before, half come meanwhile."""
    lasts = {"seconds": 3 * ROOM * (3 * LEASE + cut_for) * 0.8 / n}
    with three(folder) as boxes, ExitStack() as stack:
        readers = [Reader(box, f"http://127.0.0.1:{daemon.port}") for box, daemon in boxes.daemons.items()]
        for reader in readers:
            stack.enter_context(beside(partial(_reading, reader)))
        until(lambda: all(reader.reading.start >= 0 for reader in readers), boxes, 30, "readers")
        acknowledged = list[str]()
        for i in range(n // 2 // BATCH):
            jobs = [{"type": "tick", "payload": lasts}] * BATCH
            answer = boxes.daemons["abc"[i % 3]].call("POST", "/api/jobs/batch", {"jobs": jobs})
            assert answer.status == 201, answer
            acknowledged += [job["jobId"] for job in answer.body["jobs"]]
        clients = [Client(box, boxes, n // 6, lasts) for box in "abc"]
        for client in clients:
            client.start()
        suffer(boxes, cut_for)
        for client in clients:
            acknowledged += client.done()
        live = "select count(*) from jobs where status in ('queued', 'running')"
        until(lambda: boxes.rows(live) == [(0,)], boxes, PATIENCE, "every job ends")
        [(last,)] = boxes.rows("select last_event from numbers")
        until(lambda: all(reader.reading.seqs[-1] == last for reader in readers), boxes, 60, "readers catch up")
        assert all(daemon.process.poll() is None for daemon in boxes.daemons.values())
        judge(boxes, acknowledged, [reader.reading for reader in readers])
        print(f"{len(acknowledged)} jobs, {last} events")


async def _reading(reader: Reader, stack: AsyncExitStack) -> None:
    task = asyncio.create_task(reader.run())
    stack.callback(task.cancel)


def test_three_boxes_suffer_and_every_job_ends_once(tmp_path: Path) -> None:
    play(tmp_path, 600, cut_for=LEASE + 2)


@pytest.mark.long
@pytest.mark.timeout(2 * PATIENCE)
def test_ten_thousand_jobs_on_three_boxes_that_suffer_end_once_each(tmp_path: Path) -> None:
    play(tmp_path, 10_000, cut_for=30)
