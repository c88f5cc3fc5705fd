"""Deploys by a real daemon: the Work Platform's own body, a crash in the middle of a build, and the artefacts."""

import signal
from pathlib import Path
from typing import Any

import pytest

from secondunit.testing.processes import gone, until
from tests.e2e.repository import git

pytestmark = pytest.mark.e2e

BUILD = "test -e {gate} || {{ touch {begun}; sleep 60; }}; cp page built"


@pytest.fixture
def body(tmp_path: Path) -> dict[str, str]:
    """The payload, and beside it the repository and the configuration that allow it; the build waits for `gate`."""
    repository = tmp_path / "upstream"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=master")
    (repository / "page").write_text("hello")
    git(repository, "add", "page")
    git(repository, "commit", "--quiet", "-m", "a page")
    command = BUILD.format(gate=tmp_path / "gate", begun=tmp_path / "begun")
    payload = {"repoUrl": f"file://{repository}", "branch": "master", "directory": str(tmp_path / "srv" / "site")}
    (tmp_path / "config.toml").write_text(
        f"""
        [deploy.myspeedtest]
        repo_url = "{payload["repoUrl"]}"
        branches = ["master"]
        directory = "{payload["directory"]}"
        build_command = "{command}"
        shell = true
        trusted = true
        """
    )
    return {"projectId": "myspeedtest", **payload, "buildCommand": command}


async def test_a_deploy_that_was_killed_in_its_build_is_finished_by_the_next_daemon(
    start: Any, body: dict[str, str], tmp_path: Path
) -> None:
    home, config = Path(body["directory"]), str(tmp_path / "config.toml")
    daemon = start(SECONDUNIT_CONFIG=config).ready()
    answer = daemon.call("POST", "/api/jobs", {"type": "deploy", "payload": body})
    assert answer.status == 201, answer
    job_id = answer.body["jobId"]
    await until((tmp_path / "begun").exists, 20)
    [unfinished] = (home / "releases").iterdir()
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    await gone(unfinished)
    assert not (home / "current").exists()

    (tmp_path / "gate").touch()
    daemon = start(SECONDUNIT_CONFIG=config).ready()
    job = daemon.until(job_id, "completed", "failed")
    assert job["status"] == "completed" and job["attempt"] == 1, job
    assert (home / "current" / "built").read_text() == "hello"
    assert [path.name for path in (home / "releases").glob("2*")] == [Path(job["result"]["release"]).name]

    listed = daemon.call("GET", f"/api/jobs/{job_id}/artifacts").body["artifacts"]
    assert [row["name"] for row in listed] == [job["result"]["log"]]
    log = daemon.call("GET", f"/api/jobs/{job_id}/artifacts/{job['result']['log']}")
    assert log.status == 200 and "cp page built" in log.body


def test_a_daemon_without_projects_deploys_nothing(start: Any, body: dict[str, str]) -> None:
    daemon = start().ready()
    answer = daemon.call("POST", "/api/jobs", {"type": "deploy", "payload": body})
    assert answer.status == 422 and "[deploy.ID]" in answer.body["detail"]


def test_a_payload_that_differs_from_its_project_is_refused(start: Any, body: dict[str, str], tmp_path: Path) -> None:
    daemon = start(SECONDUNIT_CONFIG=str(tmp_path / "config.toml")).ready()
    payload = body | {"branch": "--upload-pack=id", "buildCommand": body["buildCommand"] + "; id"}
    answer = daemon.call("POST", "/api/jobs", {"type": "deploy", "payload": payload})
    assert answer.status == 422
    assert [fault["field"] for fault in answer.body["errors"]] == ["payload.branch", "payload.buildCommand"]
