"""examples/boxes/compose.yaml as it stands: three boxes and a server; one is killed, one drained, all taken down."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT
from tests.e2e.container.project import Project, opened, until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3600)]
COMPOSE, BOXES = "examples/boxes/compose.yaml", ("one", "two", "three")
COMMANDS = re.compile(r"^#   (.+)$", re.MULTILINE)
FILM = "cd /srv/media && $(find /opt -name ffmpeg-linux-x64) -v error -stream_loop 60 -i clip.mp4 -c copy long.mp4"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    images = {"postgres:17": Path(__file__).parent / "postgres"}
    with opened(tmp_path_factory.mktemp("boxes"), COMPOSE, BOXES, "secondunit-boxes", images) as ready:
        yield ready


def states(project: Project) -> dict[str, str]:
    found = json.loads(project.inside("secondunit boxes --json"))["boxes"]
    return {box["name"]: box["state"] for box in found}


def thumbnail(project: Project, box: str) -> None:
    given = f"-p videoPath=/srv/media/clip.mp4 -p outputPath=/srv/media/{box}.jpg"
    assert '"status": "completed"' in project.inside(f"secondunit submit thumbnail --wait {given}", box)


def runs_on(project: Project, job_id: str) -> str:
    """The box under whose lease something runs, there being nothing else."""
    found = json.loads(project.inside("secondunit boxes --json"))["boxes"]
    [box] = [box["name"] for box in found if box["running"]]
    assert project.job(job_id)["status"] == "running"
    return str(box)


def test_a_killed_box_loses_its_jobs_to_the_others_and_a_drained_one_gets_none(project: Project) -> None:
    project.sh("\n".join(COMMANDS.findall((CHECKOUT / COMPOSE).read_text())))
    project.sh("docker compose up --detach --wait")
    key = (project.folder / "secrets/api_key").read_text().strip()
    assert states(project) == dict.fromkeys(BOXES, "up")
    assert [(project.answered(None, box), project.answered(key, box)) for box in BOXES] == [("401", "200")] * 3

    project.sh("docker compose cp ../media/clip.mp4 one:/srv/media/")
    for box in BOXES:
        thumbnail(project, box)
    project.inside("secondunit boxes drain one")
    project.inside("secondunit boxes drain two")
    until(lambda: states(project)["two"] == "draining")
    project.inside(f"sh -c '{FILM}'")
    running = project.submitted("film")
    assert runs_on(project, running) == "three", "who is drained starts nothing"
    project.inside("secondunit boxes resume two")
    project.sh("docker compose kill three")
    until(lambda: project.job(running)["status"] == "running" and runs_on(project, running) == "two")
    job = project.job(running)
    assert (job["attempt"], states(project)["three"]) == (1, "gone"), "the kill cost no attempt"
    project.inside(f"secondunit jobs cancel {running}")

    project.sh("docker compose up --detach --wait")
    assert states(project) == {"one": "draining", "two": "up", "three": "up"}, "a drain outlives what is about it"
    before = project.jobs()
    project.sh("docker compose down --timeout 60")
    project.sh("docker compose up --detach --wait")
    assert project.jobs() == before, "volumes outlive containers"
    project.inside("secondunit boxes resume one")
    assert states(project) == dict.fromkeys(BOXES, "up")
