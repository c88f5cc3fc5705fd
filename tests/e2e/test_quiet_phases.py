"""Runs that have nothing to tell, in a daemon of little patience: what lives goes on, what hangs ends."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import installed_plugin
from tests.e2e.repository import git

pytestmark = pytest.mark.e2e

STALL = {"STALL_SECONDS": "3"}  # other phases of a deploy have to live through a busy machine
CHILD = """
import sys
from pydantic import BaseModel
from secondunit.handlers.tools.programs.ports import Profile
from secondunit.queue.handler import HandlerSpec

BUSY = "import time; end = time.monotonic() + 5\\nwhile time.monotonic() < end: pass"


class Payload(BaseModel):
    code: str = BUSY


def build(tools):
    async def run(ctx, payload):
        argv = [sys.executable, "-S", "-c", payload.code]
        finished = await tools.programs.run(argv, cwd=ctx.workspace.run, profile=Profile("python"), beat=ctx.beat)
        return {"returncode": finished.returncode}

    return HandlerSpec(type="child", payload=Payload, run=run, concurrency=5)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repository = tmp_path / "upstream"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    (repository / "page").write_text("hello")
    git(repository, "add", "page")
    git(repository, "commit", "--quiet", "-m", "a page")
    return repository


def project(tmp_path: Path, repository: Path, build: str, **more: int) -> dict[str, str]:
    """The settings of a daemon that deploys `site` by this build."""
    lines = [f'repo_url = "file://{repository}"', f'directory = "{tmp_path / "srv"}"', f'build_command = "{build}"']
    lines += ["shell = true", "trusted = true", *(f"{key} = {value}" for key, value in more.items())]
    (tmp_path / "config.toml").write_text("\n".join(["[deploy.site]", *lines]))
    return {"SECONDUNIT_CONFIG": str(tmp_path / "config.toml"), **STALL}


def submitted(daemon: Any, type: str, payload: dict[str, Any], **fields: Any) -> str:
    answer = daemon.call("POST", "/api/jobs", {"type": type, "payload": payload, **fields})
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


@pytest.mark.parametrize(
    "build",
    [
        "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo line $n; sleep 0.5; done",
        pytest.param("sleep 7", marks=pytest.mark.long),
    ],
    ids=["it prints", "it is silent"],
)
def test_a_build_longer_than_the_stall_completes_at_the_first_attempt(
    start: Any, tmp_path: Path, repository: Path, build: str
) -> None:
    daemon = start(**project(tmp_path, repository, build, timeout_seconds=60)).ready()
    job_id = submitted(daemon, "deploy", {"projectId": "site"})
    stuck: list[str] = []
    while (job := daemon.job(job_id))["status"] in ("queued", "running"):
        stuck += daemon.call("GET", "/health").body["stuckJobs"]
    assert (job["status"], job["attempt"], stuck) == ("completed", 1, []), (job["error"], job["message"])


def test_a_build_over_its_time_fails_by_that(start: Any, tmp_path: Path, repository: Path) -> None:
    daemon = start(**project(tmp_path, repository, "sleep 60", timeout_seconds=6)).ready()
    job = daemon.until(
        submitted(daemon, "deploy", {"projectId": "site"}, retryPolicy={"maxRetries": 0}), "failed", "completed"
    )
    assert (job["status"], job["error"]["type"]) == ("failed", "timeout") and "0:00:06" in job["error"]["message"], job


def test_a_program_that_works_without_a_word_lives_and_one_that_hangs_does_not(start: Any, tmp_path: Path) -> None:
    installed_plugin(tmp_path / "plugins", "child", CHILD)
    daemon = start(STALL_SECONDS="2").ready()
    busy = submitted(daemon, "child", {}, retryPolicy={"maxRetries": 0})
    hung = submitted(daemon, "child", {"code": "import time; time.sleep(60)"}, retryPolicy={"maxRetries": 0})
    assert daemon.until(busy, "completed", "failed")["status"] == "completed"
    job = daemon.until(hung, "completed", "failed")
    assert (job["status"], job["error"]["type"]) == ("failed", "stalled")
    assert job["error"]["message"] == "no sign of life for 2 s"
