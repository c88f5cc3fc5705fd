"""`docker compose` with compose.yaml as it stands: its page's commands, a stop that drains, a kill; nothing is lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.container.project import Project, opened, until
from tests.e2e.docs.pages import DOCS, blocks

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3600)]
NAME = "secondunit-composed"
FILM = "cd /srv/media && $(find /opt -name ffmpeg-linux-x64) -v error -stream_loop 75 -i clip.mp4 -c copy long.mp4"
DOCKERS_OWN_PATIENCE = 10.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with opened(tmp_path_factory.mktemp("compose"), "compose.yaml", ["secondunit"], NAME) as ready:
        yield ready


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
    until(lambda: project.job(running)["status"] not in ("queued", "running"))
    job = project.job(running)
    assert (job["status"], job["attempt"]) == ("completed", 1), f"the kill cost no attempt: {job}"

    (folder := tmp_path / "films").mkdir()
    project.sh(films.replace("/srv/films", str(folder)))
    project.sh("docker compose cp examples/media/clip.mp4 secondunit:/srv/media/")
    project.inside(
        "secondunit submit thumbnail --wait -p videoPath=/srv/media/clip.mp4 -p outputPath=/srv/media/clip.jpg"
    )
    assert (folder / "clip.jpg").stat().st_uid == 10001
    assert project.jobs().items() >= jobs.items()
