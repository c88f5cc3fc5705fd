"""`docker compose` with compose.yaml as it stands: its page's commands, a stop that drains, a kill; nothing is lost."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT
from tests.e2e.container.compose import Docker, docker
from tests.e2e.container.engine import NoEngine
from tests.e2e.docs.pages import DOCS, blocks
from tests.e2e.service.checkout import copied, git

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3600)]
OURS = """
services:
  secondunit:
    build: {network: host}
    ports: !override ["127.0.0.1::8000"]
"""
NAME = "secondunit-composed"
FILM = "cd /srv/media && $(find /opt -name ffmpeg-linux-x64) -v error -stream_loop 30 -i clip.mp4 -c copy long.mp4"
DOCKERS_OWN_PATIENCE = 10.0


@dataclass(frozen=True)
class Project:
    """A clone of this checkout with compose.yaml in it, and the docker that runs it."""

    folder: Path
    at: Docker
    variables: Mapping[str, str]

    def sh(self, commands: str) -> str:
        """Run commands there as people do, on a terminal; what they show. They must succeed."""
        script = self.folder.parent / "commands.sh"
        script.write_text(f'set -euo pipefail\nsudo() {{ "$@"; }}\n{commands}')
        argv = ["script", "--quiet", "--return", "--command", f"bash {script}", "/dev/null"]
        environ = {**self.at.environ, **self.variables}
        done = subprocess.run(
            argv, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout[-5000:]}{done.stderr[-2000:]}"
        return done.stdout

    def inside(self, command: str) -> str:
        """Run one in the container."""
        return self.sh(f"docker compose exec -T secondunit {command}")

    def job(self, id: str) -> Mapping[str, object]:
        found: Mapping[str, object] = json.loads(self.inside(f"secondunit jobs show {id} --json"))
        return found

    def jobs(self) -> dict[str, str]:
        """Those that there are, and how they are."""
        listed = json.loads(self.inside("secondunit jobs list --json"))["jobs"]
        return {job["jobId"]: job["status"] for job in listed}

    def submitted(self, output: str) -> str:
        """A long job, running."""
        given = f"-p inputPath=/srv/media/long.mp4 -p outputDir=/srv/media/{output}"
        id = self.inside(f"secondunit submit hls --quiet {given}").split()[-1]
        until(lambda: self.job(id)["progress"])
        return id

    def answered(self, key: str | None) -> str:
        """The status of a call to the published port."""
        address = self.sh("docker compose port secondunit 8000").strip()
        header = ["--header", f"Authorization: Bearer {key}"] if key else []
        argv = [*self.at.reach, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *header, f"{address}/api/jobs"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("compose")
    origin, clone = copied(folder / "origin"), folder / "secondunit"
    git(folder, "clone", "--quiet", str(origin), str(clone))
    (clone / ".venv").symlink_to(CHECKOUT / ".venv")
    (folder / "ours.yaml").write_text(OURS)
    variables = {"COMPOSE_FILE": f"{clone}/compose.yaml:{folder}/ours.yaml", "COMPOSE_PROJECT_NAME": NAME}
    try:
        with docker(folder, CHECKOUT / ".cache", variables) as at:
            ready = Project(clone, at, variables)
            try:
                yield ready
            finally:
                ready.sh("docker compose down --volumes --timeout 5")
    except NoEngine as why:
        pytest.skip(f"COMPOSE IS NOT RUN: {why}")


def until(true: Callable[[], object], within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_page_does_what_it_says_and_nothing_is_lost(project: Project, tmp_path: Path) -> None:
    made, up, first, films, again = (block.text for block in blocks((DOCS / "how-to/container.md").read_text()))
    project.sh(made)
    told = project.sh(up)
    assert "ok" in told and "0 bad" not in told and "systemctl" not in told, "doctor knows that this is a container"
    key = (project.folder / "secrets/api_key").read_text().strip()
    assert (project.answered(None), project.answered(key)) == ("401", "200")
    assert "completed" in project.sh(first)

    project.inside(f"sh -c '{FILM}'")
    running, before = project.submitted("stopped"), time.monotonic()
    project.sh(again.splitlines()[0])
    assert time.monotonic() - before > DOCKERS_OWN_PATIENCE, "the film is too short to show anything"
    assert project.sh("docker compose ps --all --format '{{.ExitCode}}'").strip() == "0"
    project.sh("\n".join(again.splitlines()[1:]))
    job = project.job(running)
    assert (job["status"], len(job["attempts"])) == ("completed", 1), "the stop waited for it"  # type: ignore[arg-type]

    jobs = project.jobs()
    project.sh("docker compose down")
    project.sh(up.splitlines()[0])
    assert project.jobs() == jobs != {}, "volumes outlive containers"

    running = project.submitted("killed")
    project.sh("docker compose kill")
    project.sh(up.splitlines()[0])
    until(lambda: project.job(running)["status"] == "running")
    assert project.job(running)["attempt"] == 1, "the kill cost no attempt"
    project.inside(f"secondunit jobs cancel {running}")

    (folder := tmp_path / "films").mkdir()
    project.sh(films.replace("/srv/films", str(folder)))
    project.sh("docker compose cp examples/media/clip.mp4 secondunit:/srv/media/")
    project.inside(
        "secondunit submit thumbnail --wait -p videoPath=/srv/media/clip.mp4 -p outputPath=/srv/media/clip.jpg"
    )
    assert (folder / "clip.jpg").stat().st_uid == 10001
    assert project.jobs().items() >= jobs.items()
