"""Jobs that hang together, in a real daemon: through its deaths, from an address to a site, and by the command line."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CHECKOUT, Daemon, environment_of, served
from tests.e2e.repository import git

pytestmark = pytest.mark.e2e

CHAIN, WHOLE = 100, 1000
OPEN = {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8", "RATE_LIMIT": "off"}


class Quiet(BaseHTTPRequestHandler):
    """Keeps what it is told, with its delivery's id."""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.headers["webhook-id"], said))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class Films(SimpleHTTPRequestHandler):
    """Serves the films of the examples."""

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Any]:
    """Hears callbacks in `told`."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.told = []
    with served(server):
        yield server


@pytest.fixture
def films() -> Iterator[str]:
    """The address of a film."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Films, directory=str(CHECKOUT / "examples" / "media")))
    with served(server):
        yield f"http://127.0.0.1:{server.server_port}/clip.mp4"


def until(holds: Callable[[], object], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sleeps(**fields: Any) -> dict[str, Any]:
    return {"type": "sleep", "payload": {"seconds": 0.02}, **fields}


def graph() -> list[dict[str, Any]]:
    """A diamond, a chain of a hundred, and others that stand alone: a thousand."""
    diamond = [sleeps(ref="top"), *(sleeps(ref=side, dependsOn=["top"]) for side in ("left", "right"))]
    diamond += [sleeps(ref="bottom", dependsOn=["left", "right"])]
    chain = [sleeps(ref="c0"), *(sleeps(ref=f"c{n}", dependsOn=[f"c{n - 1}"]) for n in range(1, CHAIN))]
    alone = [sleeps() for _ in range(WHOLE - len(diamond) - len(chain))]
    return [*reversed(chain), *diamond, *alone]


def pages(daemon: Daemon, batch: str) -> list[Any]:
    """All jobs of a batch."""
    return list(daemon.call("GET", f"/api/batches/{batch}?limit=1000").body["jobs"])


def enough(daemon: Daemon, batch: str, number: int) -> bool:
    """Whether so many jobs of a batch have completed."""
    standing = daemon.call("GET", f"/api/batches/{batch}?limit=1").body["byStatus"]
    return int(standing.get("completed", 0)) >= number


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_diamond_a_chain_and_the_rest_of_a_thousand_end_once_each_through_two_kills(
    start: Any, receiver: Any
) -> None:
    settings = OPEN | {"MAX_CONCURRENT_JOBS": "20", "LOG_LEVEL": "warning"}
    daemon = start(**settings).ready()
    asked = {"jobs": graph(), "callback": f"http://127.0.0.1:{receiver.server_port}/", "name": "a thousand"}
    answer = daemon.call("POST", "/api/jobs/batch", asked)
    assert answer.status == 201, answer
    batch = answer.body["batchId"]
    for at in (100, 400):
        until(partial(enough, daemon, batch, at))
        daemon.signal(signal.SIGKILL)
        daemon.ended()
        daemon = start(**settings).ready()
    until(lambda: daemon.call("GET", f"/api/batches/{batch}?limit=1").body["finishedAt"], within=120)
    jobs = pages(daemon, batch)
    assert len(jobs) == WHOLE and Counter(job["status"] for job in jobs) == {"completed": WHOLE}
    assert {job["attempt"] for job in jobs} == {1}, "a death of the daemon costs no attempt"
    by_id = {job["jobId"]: job for job in jobs}
    for job in jobs:
        for parent in job["dependsOn"]:
            assert by_id[parent]["finishedAt"] <= job["startedAt"], (job["ref"], by_id[parent]["ref"])
    until(lambda: receiver.told)
    time.sleep(1)
    [(_, said)] = receiver.told
    assert (said["batchId"], said["status"], said["byStatus"]) == (batch, "completed", {"completed": WHOLE})


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_one_call_brings_a_film_from_its_address_to_a_site(start: Any, films: str, tmp_path: Path) -> None:
    repository, media, site = (tmp_path / name for name in ("upstream", "media", "site"))
    for folder in (repository, media):
        folder.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=master")
    (repository / "page").write_text("hello")
    git(repository, "add", "page")
    git(repository, "commit", "--quiet", "-m", "a page")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[deploy.blog]\nrepo_url = "file://{repository}"\nbranches = ["master"]\ndirectory = "{site}"\n'
        'build_command = "cp page built"\nshell = true\ntrusted = true\n'
    )
    daemon = start(SECONDUNIT_CONFIG=str(config), MEDIA_ROOTS=str(media), MIN_FREE_MB="0", **OPEN).ready()
    film = {"$from": "film", "path": "outputPath"}
    asked = [
        {"type": "deploy", "dependsOn": ["stream", "still"], "payload": {"projectId": "blog"}},
        {
            "ref": "stream",
            "type": "hls",
            "payload": {"inputPath": film, "outputDir": f"{media}/7", "qualities": ["240p"]},
        },
        {"ref": "still", "type": "thumbnail", "payload": {"videoPath": film, "outputPath": f"{media}/7.jpg"}},
        {"ref": "film", "type": "download", "payload": {"url": films, "outputPath": f"{media}/7.mp4"}},
    ]
    answer = daemon.call("POST", "/api/jobs/batch", {"jobs": asked})
    assert answer.status == 201, answer
    batch = answer.body["batchId"]
    until(lambda: daemon.call("GET", f"/api/batches/{batch}").body["finishedAt"], within=100)
    jobs = {job["type"]: job for job in pages(daemon, batch)}
    assert {type: job["status"] for type, job in jobs.items()} == dict.fromkeys(jobs, "completed"), jobs
    assert jobs["hls"]["payload"]["inputPath"] == film, "the reference is what was asked for"
    assert (media / "7" / "master.m3u8").exists() and (media / "7.jpg").stat().st_size > 0
    assert (site / "current" / "built").read_text() == "hello"
    last = max(jobs[type]["finishedAt"] for type in ("hls", "thumbnail"))
    assert jobs["download"]["finishedAt"] <= jobs["hls"]["startedAt"] and last <= jobs["deploy"]["startedAt"]


def command(daemon: Daemon, *words: str, feed: str = "", code: int = 0) -> str:
    """What a command prints."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "secondunit", *words], env=environment_of(daemon.data), cwd=daemon.data.parent,
        input=feed, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    return ran.stdout


def test_batches_by_the_command_line(start: Any) -> None:
    daemon = start().ready()
    asked = json.dumps([sleeps(ref="first"), sleeps(ref="second", dependsOn=["first"])])
    ended = json.loads(command(daemon, "batch", "-", "--wait", "--json", feed=asked))
    assert ended["byStatus"] == {"completed": 2}
    assert ended["batchId"] in command(daemon, "batches", "list")
    assert "2 completed of 2" in command(daemon, "batches", "show", ended["batchId"])

    lasting = sleeps(ref="lasting") | {"payload": {"seconds": 600}}
    asked = json.dumps({"name": "long", "jobs": [lasting, sleeps(dependsOn=["lasting"])]})
    batch = json.loads(command(daemon, "batch", "-", "--json", feed=asked))["batchId"]
    command(daemon, "batches", "cancel", batch)
    until(lambda: daemon.call("GET", f"/api/batches/{batch}").body["finishedAt"])
    assert daemon.call("GET", f"/api/batches/{batch}").body["byStatus"] == {"cancelled": 2}
    assert "failed" not in command(daemon, "batches", "retry", batch)

    circle = json.dumps([sleeps(ref="a", dependsOn=["b"]), sleeps(ref="b", dependsOn=["a"])])
    command(daemon, "batch", "-", feed=circle, code=1)
    command(daemon, "batch", "-", feed="no json", code=2)


def test_a_job_is_submitted_behind_others_by_the_command_line(start: Any) -> None:
    daemon = start().ready()
    parent = daemon.submit(seconds=600)
    daemon.until(parent, "running")
    words = ("submit", "sleep", "--depends-on", parent, "--quiet")
    fails, runs = (command(daemon, *words, *more).strip() for more in ((), ("--on-parent-failure", "run")))
    assert f"it waits for 1 of 1 job: {parent} runs" in command(daemon, "jobs", "explain", fails)
    command(daemon, "jobs", "cancel", parent)
    assert daemon.until(fails, "failed")["error"]["type"] == "parent_failed"
    assert daemon.until(runs, "completed")["dependsOn"] == [parent]
    command(daemon, "submit", "sleep", "--depends-on", "job_" + "a" * 26, code=1)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_second_run_of_a_kind_is_estimated_by_the_first(start: Any, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    film = media / "film.mp4"
    film.write_bytes((CHECKOUT / "examples" / "media" / "clip.mp4").read_bytes())
    daemon = start(MEDIA_ROOTS=str(media), MIN_FREE_MB="0").ready()
    first, second = (
        daemon.call("POST", "/api/jobs", {"type": "hls", "payload": {**asked, "copy": "never"}}).body["jobId"]
        for asked in (
            {"inputPath": str(film), "outputDir": f"{media}/{qualities[0]}", "qualities": qualities}
            for qualities in (["144p"], ["240p", "360p"])  # the second runs long enough to be seen on a busy machine
        )
    )
    known = daemon.until(first, "completed", within=100)
    assert daemon.job(first)["estimate"] is None
    seen = []
    while (job := daemon.job(second))["status"] in ("queued", "running"):
        seen.append((job["estimate"], job["etaSeconds"]))
        time.sleep(0.05)
    planned = [(estimate, eta) for estimate, eta in seen if estimate and estimate["basis"] == "maxCpuSeconds"]
    assert planned, seen
    estimate, eta = planned[-1]
    share = job["stats"]["maxCpuSeconds"] / known["stats"]["maxCpuSeconds"]
    assert estimate["seconds"] == pytest.approx(known["duration"] / 1000 * share, rel=0.02)
    assert estimate["cpuSeconds"] == pytest.approx(known["stats"]["resources"]["cpuSeconds"] * share, rel=0.02)
    assert eta is not None and estimate["runs"] == 1
    told = [line for line in map(json.loads, daemon.log.splitlines()) if line["event"] == "job.estimated"]
    assert [line["job_id"] for line in told] in ([second], [])
    assert told or known["duration"] < 1500, "what takes longer than a second is told of"
